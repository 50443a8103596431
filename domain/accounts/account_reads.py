"""Reads of accounts: one's own, its sessions, and the list that admins see."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.accounts.model import AccountStatus, Language, Position, Role, SellerStatus, language_of
from domain.connection import Connection, Row

PROFILE = """
SELECT a.id, a.email, a.name, a.roles, a.status, a.verified_at, a.version, a.created_at,
       a.buyer_group, a.language,
       m.seller_id, s.name AS seller_name, s.status AS seller_status, m.position
FROM accounts a
LEFT JOIN seller_members m ON m.account_id = a.id
LEFT JOIN sellers s ON s.id = m.seller_id
"""

PROFILE_OF = PROFILE + "WHERE a.id = $1"

# Each filter is off while its argument is NULL.
LIST = (
    PROFILE
    + """
WHERE a.id < $1 AND ($2::text IS NULL OR a.email_key = $2) AND ($3::text IS NULL OR a.status = $3)
  AND ($4::text IS NULL OR CASE WHEN $4 = 'SELLER' THEN s.status = 'approved' ELSE $4 = ANY (a.roles) END)
ORDER BY a.id DESC LIMIT $5
"""
)

SESSIONS = """
SELECT id, created_at, used_at, expires_at, address, client FROM sessions
WHERE account_id = $1 AND id < $2 AND revoked_at IS NULL AND expires_at > now()
ORDER BY id DESC LIMIT $3
"""

GROUPS = "SELECT id, buyer_group FROM accounts WHERE id = ANY ($1::uuid[]) AND buyer_group IS NOT NULL"


class SellerOfAccount(Struct, frozen=True):
    """The seller an account acts for, and as what."""

    id: UUID
    name: str
    status: SellerStatus
    position: Position


class AccountView(Struct, frozen=True):
    """An account as its owner and admins see it. ``roles`` has SELLER for a member of an approved seller.

    ``group`` is that of the price lists it buys by; null for most. ``language`` is that of its mails; null is the
    deployment's.
    """

    id: UUID
    email: str
    name: str
    roles: list[Role]
    status: AccountStatus
    verified: bool
    seller: SellerOfAccount | None
    group: str | None
    language: Language | None
    version: int
    created_at: datetime


class SessionView(Struct, frozen=True):
    """A session as its owner sees it; ``current`` is the one that asks."""

    id: UUID
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    address: str
    client: str
    current: bool


def _view(row: Row) -> AccountView:
    seller = None
    if row["seller_id"] is not None:
        status, position = SellerStatus(row["seller_status"]), Position(row["position"])
        seller = SellerOfAccount(row["seller_id"], row["seller_name"], status, position)
    held = {Role(role) for role in row["roles"]}
    if seller is not None and seller.status is SellerStatus.APPROVED:
        held.add(Role.SELLER)
    return AccountView(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        roles=[role for role in Role if role in held],
        status=AccountStatus(row["status"]),
        verified=row["verified_at"] is not None,
        seller=seller,
        group=row["buyer_group"],
        language=language_of(row["language"]),
        version=row["version"],
        created_at=row["created_at"],
    )


async def load_profile(conn: Connection, account_id: UUID) -> AccountView | None:
    """Read an account; None for a principal that has none."""
    row = await conn.fetchrow(PROFILE_OF, account_id)
    return None if row is None else _view(row)


async def list_accounts(
    conn: Connection,
    *,
    below: UUID,
    limit: int,
    email_key: str | None = None,
    status: AccountStatus | None = None,
    role: Role | None = None,
) -> list[AccountView]:
    """Read accounts, newest first, with ids below ``below``."""
    wanted = None if status is None else status.value
    rows = await conn.fetch(LIST, below, email_key, wanted, None if role is None else role.value, limit)
    return [_view(row) for row in rows]


async def list_sessions(
    conn: Connection, account_id: UUID, *, below: UUID, limit: int, current: UUID | None
) -> list[SessionView]:
    """Read an account's live sessions, newest first, with ids below ``below``."""
    rows = await conn.fetch(SESSIONS, account_id, below, limit)
    return [
        SessionView(
            id=row["id"],
            created_at=row["created_at"],
            used_at=row["used_at"],
            expires_at=row["expires_at"],
            address=row["address"],
            client=row["client"],
            current=row["id"] == current,
        )
        for row in rows
    ]


async def load_groups(conn: Connection, account_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The groups of buyers that some accounts are in; most are in none."""
    return {row["id"]: row["buyer_group"] for row in await conn.fetch(GROUPS, list(account_ids))}
