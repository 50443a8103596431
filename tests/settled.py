"""Seller orders that have settled: placed through the engine, sold by a posting, due for a payout."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.payments.ledger import LedgerAccount, PostingKind, Side, Transfer, payable, posting
from domain.payments.ledger_sql import settle_from, write_postings
from infra import postgres
from infra.clock import new_id
from jobs.place_orders import place_orders
from ops.goods import NewOffer
from tests.builders import place, submit
from tests.engine.parts import Rig

LONG_AGO = timedelta(days=1)
GIVE_DETAILS = "UPDATE sellers SET payout = $2, payout_shown = 'XX' WHERE id = ANY ($1::uuid[])"
SELLER_OF = "SELECT seller_id FROM seller_orders WHERE order_id = $1 AND seller_no = $2"


async def give_details(conn: Any, *sellers: UUID) -> None:
    """Have sellers say where their money goes; nobody can open what stands there."""
    await conn.execute(GIVE_DETAILS, list(sellers), b"sealed")


async def owe(conn: Any, order: UUID, amount_minor: int, *, seller_no: int = 0, currency: str = "USD") -> None:
    """Book that a seller is owed an amount of an order, or owes it."""
    seller = payable(await conn.fetchval(SELLER_OF, order, seller_no), seller_no)
    # Made good by the platform: nobody has to pay for the order.
    platform, kind = Side(LedgerAccount.PROMOTION_COST), PostingKind.PROMOTION_COST
    pair = (platform, seller) if amount_minor > 0 else (seller, platform)
    booked = posting(kind, new_id(), order, currency, [Transfer(*pair, abs(amount_minor))])
    async with postgres.transaction(conn):
        await write_postings(conn, booked, datetime.now(UTC))


async def settle(conn: Any, *orders: UUID, seller_no: int = 0, ago: timedelta = LONG_AGO) -> None:
    """Let payouts take orders from a time on that has passed."""
    async with postgres.transaction(conn):
        await settle_from(conn, [(order, seller_no) for order in orders], datetime.now(UTC) - ago)


async def settled(rig: Rig, offer: NewOffer, *amounts: int) -> list[UUID]:
    """Orders of one unit of an offer, with what their seller is owed of each; the seller can be paid."""
    orders = await submit(rig.conn, *[place(offer, currency=offer.currency) for _ in amounts])
    await rig.drain(rig.runner(place_orders))
    for order, amount in zip(orders, amounts, strict=True):
        await owe(rig.conn, order, amount, currency=offer.currency)
    await settle(rig.conn, *orders)
    await give_details(rig.conn, offer.seller_id)
    return orders
