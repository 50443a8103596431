"""What the jobs about payouts share: how a payout goes on, what is told of it, and parts that are booked back."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.journal.declare import Batch
from domain.journal.model import Claimed, Event
from domain.money import Money
from domain.payments.ledger import PostingKind
from domain.payments.ledger_sql import write_postings
from domain.payments.payout_sql import give_back, save_items
from domain.payments.payouts import (
    PAYOUT,
    Item,
    ItemState,
    Payout,
    PayoutProgress,
    PayoutState,
    PayoutStep,
    postings_of,
)
from domain.rejections import Code, Rejection

NO_PAYOUT = Rejection(404, Code.NOT_FOUND, "there is no such payout")
_GOING_ON = {PayoutState.COLLECTING, PayoutState.PAYING, PayoutState.FAILING}


def followed(payout: Payout, step: PayoutStep) -> Payout:
    """A payout after a step of our own, which its state always allows."""
    return replace(payout, state=PAYOUT[payout.state][step])


def progress_of(payout: Payout, *, more: bool = False) -> PayoutProgress:
    """What a job about a payout answers."""
    total = Money(payout.total_minor, payout.currency)
    going_on = more or payout.state in _GOING_ON
    return PayoutProgress(payout.id, payout.state, payout.sellers, payout.orders, total, going_on)


def event_of(claimed: Claimed[Any], payout: Payout, kind: str, data: Struct) -> Event:
    """The event that made the payout's version."""
    return Event(
        stream=payout.id,
        version=payout.version,
        type=kind,
        data=msgspec.json.encode(data).decode(),
        actor=claimed.principal,
        correlation=claimed.correlation,
    )


async def book_back(
    batch: Batch[Any], payout: Payout, items: Sequence[Item], state: ItemState, reasons: Mapping[UUID, str]
) -> None:
    """Give sellers back what the payout has of theirs; nothing is locked or written after it."""
    if not items:
        return
    sellers = [item.seller_id for item in items]
    await save_items(batch.conn, payout.id, state, {seller: reasons[seller] for seller in sellers})
    await give_back(batch.conn, payout.id, sellers)
    postings = postings_of(payout.id, payout.currency, items, PostingKind.PAYOUT_FAILED)
    await write_postings(batch.conn, postings, batch.now)
