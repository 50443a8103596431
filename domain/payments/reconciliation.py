"""Holding gateways' books against ours: the commands, and the decision what of a page of charges is amiss.

Invariant: pure; a charge is an orphan when no payment of ours is what it says it is for, or when that payment is known
under another reference: money nobody here asked for. Everything else that differs is asked about and settled as usual.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.journal.model import Command, Lane
from domain.money import Currency, Minor
from domain.payments.attempt import RANK
from domain.payments.news import AttemptState, Charge, GatewayName, News, Reference


class SweepPayments(Command, frozen=True):
    """Look after payments of which nothing was heard for a while, and have gateways' books compared."""

    job: ClassVar[str] = "sweep_payments"
    lane: ClassVar[Lane] = Lane.SWEEPS


class ReconcileCharges(Command, frozen=True):
    """Compare a page of a gateway's books: of what was made there between two times."""

    job: ClassVar[str] = "reconcile_charges"
    lane: ClassVar[Lane] = Lane.IO

    gateway: GatewayName
    since: datetime
    until: datetime
    after: str | None = None

    def weight(self) -> int:
        """Rows it reads and writes, roughly."""
        return 200

    def aggregate(self) -> UUID:
        """The gateway: its books are compared once at a time."""
        return books_of(self.gateway)


class RefundOrphan(Command, frozen=True):
    """Give back a charge that belongs to no payment."""

    job: ClassVar[str] = "refund_orphans"
    lane: ClassVar[Lane] = Lane.IO

    gateway: GatewayName
    reference: Reference
    amount_minor: Minor
    currency: Currency
    captured: bool = True


class KnownPayment(Struct, frozen=True):
    """A payment as our books have it."""

    id: UUID
    gateway: str
    reference: str | None
    state: AttemptState
    captured_minor: int
    refunded_minor: int


class Reconciled(Struct, frozen=True):
    """What comparing a page found, and whether there are more."""

    charges: int
    orphans: int
    differing: int
    more: bool


class Findings(Struct, frozen=True):
    """Charges that belong to no payment, and payments to ask about."""

    orphans: Sequence[News]
    differing: Sequence[UUID]


def books_of(gateway: str) -> UUID:
    """What stands for a gateway's books among the things commands are about."""
    return UUID(hashlib.md5(b"books of " + gateway.encode(), usedforsecurity=False).hexdigest())


def compare(
    gateway: str, charges: Sequence[Charge], payments: Mapping[UUID, KnownPayment], by_reference: Mapping[str, UUID]
) -> Findings:
    """Compare a page of charges with our payments, by id and by reference."""
    orphans: list[News] = []
    differing: list[UUID] = []
    for charge in charges:
        news = charge.news
        named = news.payment_id if news.payment_id is not None else by_reference.get(news.reference or "")
        payment = payments.get(named) if named is not None else None
        if payment is None or payment.gateway != gateway or (payment.reference or news.reference) != news.reference:
            if _holds_money(news):
                orphans.append(news)
        elif _differs(news, payment):
            differing.append(payment.id)
    return Findings(orphans, differing)


def _holds_money(news: News) -> bool:
    captured = (news.captured_minor or 0) > (news.refunded_minor or 0)
    return captured or news.state is AttemptState.AUTHORIZED


def _differs(news: News, payment: KnownPayment) -> bool:
    ahead = news.state is not None and RANK[news.state] > RANK[payment.state]
    return (
        ahead
        or (news.captured_minor or 0) > payment.captured_minor
        or (news.refunded_minor or 0) > payment.refunded_minor
    )


def references_of(charges: Sequence[Charge]) -> tuple[Collection[UUID], Collection[str]]:
    """The payments that charges name, by id and by reference."""
    return (
        {charge.news.payment_id for charge in charges if charge.news.payment_id is not None},
        {charge.news.reference for charge in charges if charge.news.reference is not None},
    )
