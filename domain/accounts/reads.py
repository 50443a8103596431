"""Reads of accounts."""

from uuid import UUID

from domain.accounts.model import Membership, Position, SellerStatus
from domain.connection import Connection

MEMBERSHIP = """
SELECT m.seller_id, s.status, m.position
FROM seller_members m JOIN sellers s ON s.id = m.seller_id
WHERE m.account_id = $1
"""

SELLER_STATUS = "SELECT status FROM sellers WHERE id = $1"


async def load_membership(conn: Connection, account_id: UUID) -> Membership | None:
    """The seller an account is a member of, whatever that seller's status; None without one."""
    row = await conn.fetchrow(MEMBERSHIP, account_id)
    return None if row is None else Membership(row[0], SellerStatus(row[1]), Position(row[2]))


async def load_seller_status(conn: Connection, seller_id: UUID) -> SellerStatus | None:
    """The status of a seller; None for one that isn't known."""
    status = await conn.fetchval(SELLER_STATUS, seller_id)
    return None if status is None else SellerStatus(status)
