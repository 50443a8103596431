"""Reads of sellers: the list that admins review, newest first, and who may sell."""

from collections.abc import Collection
from uuid import UUID

from domain.accounts.model import SellerStatus
from domain.accounts.seller_model import SellerView, view_of
from domain.accounts.seller_sql import SHOWN, load_members, seller_of
from domain.connection import Connection

LIST_SELLERS = f"SELECT {SHOWN} FROM sellers s WHERE s.id < $1 ORDER BY s.id DESC LIMIT $2"

# A statement of its own: with the filter optional, a rare status would be looked for among all sellers.
LIST_SELLERS_IN = f"""
SELECT {SHOWN} FROM sellers s WHERE s.status = $3 AND s.id < $1 ORDER BY s.id DESC LIMIT $2
"""

LOAD_APPROVED = "SELECT id FROM sellers WHERE id = ANY ($1::uuid[]) AND status = 'approved'"


async def list_sellers(
    conn: Connection, *, below: UUID, limit: int, status: SellerStatus | None = None
) -> list[SellerView]:
    """Read sellers with ids below ``below`` and their members, newest first."""
    if status is None:
        rows = await conn.fetch(LIST_SELLERS, below, limit)
    else:
        rows = await conn.fetch(LIST_SELLERS_IN, below, limit, status.value)
    found = [seller_of(row) for row in rows]
    members = await load_members(conn, [seller.id for seller in found])
    return [view_of(seller, members[seller.id]) for seller in found]


async def load_approved(conn: Connection, sellers: Collection[UUID]) -> set[UUID]:
    """Which of some sellers may sell."""
    return {row["id"] for row in await conn.fetch(LOAD_APPROVED, list(sellers))}
