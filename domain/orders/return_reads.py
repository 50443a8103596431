"""Returns as buyers, sellers and admins see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.connection import Connection
from domain.orders.fulfilment_model import Units, seller_order_id
from domain.orders.return_model import ReceivedUnits, ReturnState

_SHOWN = """r.id, r.order_id, r.seller_no, r.seller_id, r.lines, r.quantities, r.received, r.restocked, r.state,
       r.reason, r.answer, r.requested_at, r.decided_at, r.received_at, o.number, o.buyer"""
_OF_ORDERS = "returns r JOIN orders o ON o.id = r.order_id"

LOAD = f"SELECT {_SHOWN} FROM {_OF_ORDERS} WHERE r.id = $1"

LIST_ALL = f"SELECT {_SHOWN} FROM {_OF_ORDERS} WHERE r.id < $1 ORDER BY r.id DESC LIMIT $2"

# A buyer's own and a seller's own, each by its own index.
LIST_OWN = f"""
WITH own AS (
(SELECT {_SHOWN} FROM {_OF_ORDERS} WHERE r.seller_id = $4 AND r.id < $1 ORDER BY r.id DESC LIMIT $2)
UNION
(SELECT {_SHOWN} FROM orders o CROSS JOIN LATERAL (SELECT * FROM returns b WHERE b.order_id = o.id OFFSET 0) r
 WHERE o.buyer = $3 AND r.id < $1 ORDER BY r.id DESC LIMIT $2)
)
SELECT * FROM own ORDER BY id DESC LIMIT $2
"""


class ReturnView(Struct, frozen=True):
    """A return. ``answer`` is what the seller said to it; ``received`` is empty until something came back."""

    id: UUID
    order_id: UUID
    order_number: str
    seller_order_id: UUID
    seller_id: UUID
    state: ReturnState
    lines: list[Units]
    reason: str
    answer: str
    received: list[ReceivedUnits]
    requested_at: datetime
    decided_at: datetime | None
    received_at: datetime | None


def _view(row: Any) -> ReturnView:
    came_back = zip(row["lines"], row["received"], row["restocked"], strict=False)
    return ReturnView(
        id=row["id"],
        order_id=row["order_id"],
        order_number=ids.format_order_number(row["number"]),
        seller_order_id=seller_order_id(row["order_id"], row["seller_no"]),
        seller_id=row["seller_id"],
        state=ReturnState(row["state"]),
        lines=[Units(n, units) for n, units in zip(row["lines"], row["quantities"], strict=True)],
        reason=row["reason"],
        answer=row["answer"],
        received=[ReceivedUnits(*each) for each in came_back],
        requested_at=row["requested_at"],
        decided_at=row["decided_at"],
        received_at=row["received_at"],
    )


async def load_return(conn: Connection, return_id: UUID) -> tuple[ReturnView, UUID] | None:
    """Read a return, and whose order it is of."""
    row = await conn.fetchrow(LOAD, return_id)
    return None if row is None else (_view(row), row["buyer"])


async def list_returns(
    conn: Connection, *, buyer: UUID | None, seller_id: UUID | None, below: UUID, limit: int
) -> Sequence[ReturnView]:
    """Read a page of returns, newest first: those of a buyer's orders and of a seller's; all, without a buyer."""
    if buyer is None:
        rows = await conn.fetch(LIST_ALL, below, limit)
    else:
        rows = await conn.fetch(LIST_OWN, below, limit, buyer, seller_id)
    return [_view(row) for row in rows]
