"""Orders as they are looked for: by number, e-mail address, seller, status, days; newest first.

Invariant: ``STATUS`` says in SQL what ``lifecycle.order_status`` says: a test holds the two together. A search walks by
the most telling of its filters, in an index, and each set of filters has a statement of its own: with filters that are
optional, a rare one would be looked for among all orders.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.connection import Connection
from domain.orders.lifecycle import CONFIRMED, ENDED
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.orders.reads import OrderSummary, load_summaries

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
WAITED_MAX = timedelta(days=1)
"""How long an order that is looked for by its day may have waited for its placing: ids tell when orders were asked for,
and they are what is walked along."""
CLOCKS_APART_MAX = timedelta(minutes=1)
"""How much later than the clock of the database another one may be."""


def _listed(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


# Of an order ``o`` with the fulfilment ``f`` of its seller orders.
STATUS = f"""
CASE WHEN o.expired_at IS NOT NULL THEN '{OrderStatus.EXPIRED}'
     WHEN o.payment = '{Payment.VOIDED}' OR f.cancelled THEN '{OrderStatus.CANCELLED}'
     WHEN f.ended THEN '{OrderStatus.COMPLETED}'
     WHEN o.payment IN ({_listed(list(CONFIRMED))}) THEN '{OrderStatus.CONFIRMED}'
     ELSE '{OrderStatus.PENDING_PAYMENT}' END
"""
FULFILMENTS = f"""
CROSS JOIN LATERAL (
    SELECT bool_and(r.fulfilment = '{Fulfilment.CANCELLED}') AS cancelled,
           bool_and(r.fulfilment IN ({_listed(list(ENDED))})) AS ended
    FROM seller_orders r WHERE r.order_id = o.id
) f
"""

FILTERS = ("number", "email", "seller", "buyer", "status")


def statement(filters: Sequence[str]) -> str:
    """The statement for some of ``FILTERS``; their arguments come after those of id, days and limit, in that order."""
    place = {name: f"${6 + n}" for n, name in enumerate(name for name in FILTERS if name in filters)}
    walked = "o.id"
    tables, conditions = ["orders o"], ["o.placed_at >= $3", "o.placed_at < $4"]
    if "seller" in place:
        # Unless there is something that tells more, the seller's orders are walked along.
        walked = "s.order_id"
        tables = ["seller_orders s JOIN orders o ON o.id = s.order_id"]
        conditions.append(f"s.seller_id = {place['seller']}")
    if "email" in place:
        walked = "k.id"
        tables.insert(
            0,
            "(SELECT e.id FROM orders e WHERE e.email_key = $EMAIL AND e.id < $1 AND e.id >= $2 UNION"
            " SELECT e.id FROM accounts a JOIN orders e ON e.buyer = a.id AND e.id < $1 AND e.id >= $2"
            " WHERE a.email_key = $EMAIL) k".replace("$EMAIL", place["email"]),
        )
        conditions.append("o.id = k.id")
    if "number" in place:
        conditions.append(f"o.number = {place['number']}")
    if "buyer" in place:
        conditions.append(f"o.buyer = {place['buyer']}")
    if "status" in place:
        conditions.append(f"{STATUS} = {place['status']}")
    lateral = FULFILMENTS if "status" in place else ""
    conditions += [f"{walked} < $1", f"{walked} >= $2"]
    # What is laid beside comes after what it looks at.
    return (
        f"SELECT o.id FROM {' CROSS JOIN '.join(tables)} {lateral}"
        f" WHERE {' AND '.join(conditions)} ORDER BY {walked} DESC LIMIT $5"
    )


SEARCHES = {
    " ".join(filters): statement(filters) for size in range(len(FILTERS) + 1) for filters in combinations(FILTERS, size)
}
"""By the names of their filters."""


class OrderSearch(Struct, frozen=True):
    """What is looked for. ``email_key`` is compared with the order's and with that of its buyer's account.

    ``placed_from`` is the first moment, ``placed_before`` the first one that is too late.
    """

    buyer: UUID | None = None
    number: int | None = None
    email_key: str | None = None
    seller: UUID | None = None
    status: OrderStatus | None = None
    placed_from: datetime | None = None
    placed_before: datetime | None = None


async def search_orders(conn: Connection, *, wanted: OrderSearch, below: UUID, limit: int) -> list[OrderSummary]:
    """Read a page of the orders that fit, newest first."""
    if wanted.status is OrderStatus.PLACING:
        # Such an order has no row yet.
        return []
    said = {
        "number": wanted.number,
        "email": wanted.email_key,
        "seller": wanted.seller,
        "buyer": wanted.buyer,
        "status": None if wanted.status is None else wanted.status.value,
    }
    given = {name: value for name, value in said.items() if value is not None}
    first, end = wanted.placed_from or EARLIEST, wanted.placed_before or LATEST
    top = min(below, _id_at(end + CLOCKS_APART_MAX)) if wanted.placed_before else below
    bottom = _id_at(first - WAITED_MAX) if wanted.placed_from else UUID(int=0)
    rows = await conn.fetch(SEARCHES[" ".join(given)], top, bottom, first, end, limit, *given.values())
    return await load_summaries(conn, [row["id"] for row in rows])


def _id_at(moment: datetime) -> UUID:
    return ids.compose(int(moment.timestamp() * 1000), bytes(ids.ENTROPY_BYTES))
