"""Sellers who are owed money, for tests over HTTP: orders that are placed, sold by a posting and settled."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.accounts.model import Role
from domain.payments.ledger import LedgerAccount, PostingKind, Side, Transfer, payable, posting
from domain.payments.ledger_sql import settle_from, write_postings
from infra import postgres
from infra.clock import new_id
from tests.api import goods
from tests.api.goods import Seller
from tests.api.shop import Shop, bearer, order, wait

IBAN = {"kind": "iban", "holder": "Ada Lovelace", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX"}


def seller_with_details(shop: Shop, **details: Any) -> Seller:
    """An approved seller who has said where the money goes."""
    made = goods.seller(shop)
    answer = shop.http.patch("/sellers/me", json={"payout": {**IBAN, **details}}, headers=made.header)
    assert answer.status_code == 200, answer.text
    return made


def owed(
    shop: Shop, seller: Seller, amount_minor: int, *, currency: str = "USD", settled: bool = True, days_ago: int = 1
) -> UUID:
    """Have a seller be owed an amount of a new order, booked some days ago."""
    offer = shop.offer_of(seller.id)
    if currency != offer.currency:
        change = "UPDATE offers SET currency = $2 WHERE variant_id = $1"
        shop.execute(change, offer.variant_id, currency)
    body = order(offer, currency=currency)
    answer = shop.http.post("/orders", json=body, headers=bearer(Role.BUYER) | wait())
    assert answer.status_code == 200, answer.text
    made = UUID(answer.json()["id"])
    book(shop, seller, made, amount_minor, currency=currency, days_ago=days_ago)
    if settled:
        shop.using(lambda conn: _settle(conn, made))
    return made


def book(shop: Shop, seller: Seller, of: UUID, amount_minor: int, *, currency: str = "USD", days_ago: int = 1) -> None:
    """Book that a seller is owed an amount of an order, or owes it."""
    theirs, refunds = payable(seller.id, 0), Side(LedgerAccount.REFUNDS)
    sides = (refunds, theirs) if amount_minor > 0 else (theirs, refunds)
    kind = PostingKind.SALE if amount_minor > 0 else PostingKind.REFUND
    found = posting(kind, new_id(), of, currency, [Transfer(*sides, abs(amount_minor))])
    at = datetime.now(UTC) - timedelta(days=days_ago)

    async def write(conn: Any) -> None:
        async with postgres.transaction(conn):
            await write_postings(conn, found, at)

    shop.using(write)


async def _settle(conn: Any, order_id: UUID) -> None:
    async with postgres.transaction(conn):
        await settle_from(conn, [(order_id, 0)], datetime.now(UTC) - timedelta(hours=1))
