"""Statements of sellers and their members.

A seller's row stands for its members, too: whoever changes who they are locks it first.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.accounts.model import Membership, Position, SellerStatus
from domain.accounts.seller_edit import Edit, is_seen_by_buyers
from domain.accounts.seller_model import Member, Seller
from domain.connection import Connection
from domain.journal.changes_sql import note_changes
from domain.journal.sql import insert_events

SHOWN = "s.id, s.name, s.description, s.status, s.reason, s.payout, s.payout_shown, s.version, s.created_at"

INSERT_SELLERS = """
INSERT INTO sellers (id, name, description, status, payout, payout_shown, created_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::timestamptz[])
"""

LOCK_SELLERS = "SELECT id FROM sellers WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
LOAD_SELLERS = f"SELECT {SHOWN} FROM sellers s WHERE s.id = ANY ($1::uuid[])"

UPDATE_SELLERS = """
UPDATE sellers s
SET name = t.name, description = t.description, status = t.status, reason = t.reason, payout = t.payout,
    payout_shown = t.payout_shown, version = t.version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::integer[])
    AS t (id, name, description, status, reason, payout, payout_shown, version)
WHERE s.id = t.id
"""

LOAD_MEMBERS = """
SELECT m.seller_id, m.account_id, a.email, a.name, m.position, m.added_at
FROM seller_members m JOIN accounts a ON a.id = m.account_id
WHERE m.seller_id = ANY ($1::uuid[])
ORDER BY m.seller_id, m.added_at, m.account_id
"""

LOAD_MEMBERSHIPS = """
SELECT m.account_id, m.seller_id, s.status, m.position
FROM seller_members m JOIN sellers s ON s.id = m.seller_id
WHERE m.account_id = ANY ($1::uuid[])
"""

# Somebody else may have made the account a member a moment ago: then it stays theirs.
INSERT_MEMBERS = """
INSERT INTO seller_members (account_id, seller_id, position)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])
ON CONFLICT (account_id) DO NOTHING RETURNING account_id
"""

DELETE_MEMBERS = "DELETE FROM seller_members WHERE account_id = ANY ($1::uuid[])"


def seller_of(row: Mapping[str, Any]) -> Seller:
    """A seller from its row."""
    return Seller(**{**row, "status": SellerStatus(row["status"])})


async def insert_sellers(conn: Connection, sellers: Sequence[Seller]) -> None:
    """Write new sellers; they have version 1 and no reason."""
    await conn.execute(
        INSERT_SELLERS,
        [s.id for s in sellers],
        [s.name for s in sellers],
        [s.description for s in sellers],
        [s.status.value for s in sellers],
        [s.payout for s in sellers],
        [s.payout_shown for s in sellers],
        [s.created_at for s in sellers],
    )


async def lock_sellers(conn: Connection, seller_ids: Sequence[UUID]) -> None:
    """Lock sellers; read them in the next statement."""
    await conn.fetch(LOCK_SELLERS, list(seller_ids))


async def load_sellers(conn: Connection, seller_ids: Sequence[UUID]) -> dict[UUID, Seller]:
    """Read sellers; unknown ones are missing."""
    return {row["id"]: seller_of(row) for row in await conn.fetch(LOAD_SELLERS, list(seller_ids))}


async def update_sellers(conn: Connection, sellers: Sequence[Seller]) -> None:
    """Write what became of sellers that are locked."""
    await conn.execute(
        UPDATE_SELLERS,
        [s.id for s in sellers],
        [s.name for s in sellers],
        [s.description for s in sellers],
        [s.status.value for s in sellers],
        [s.reason for s in sellers],
        [s.payout for s in sellers],
        [s.payout_shown for s in sellers],
        [s.version for s in sellers],
    )


async def load_members(conn: Connection, seller_ids: Sequence[UUID]) -> dict[UUID, list[Member]]:
    """Read who acts for sellers, in the order they were added."""
    members: dict[UUID, list[Member]] = {seller_id: [] for seller_id in seller_ids}
    for row in await conn.fetch(LOAD_MEMBERS, list(seller_ids)):
        position = Position(row["position"])
        member = Member(row["account_id"], row["email"], row["name"], position, row["added_at"])
        members[row["seller_id"]].append(member)
    return members


async def load_memberships(conn: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Membership]:
    """Read which sellers accounts act for; those of none are missing."""
    return {
        row["account_id"]: Membership(row["seller_id"], SellerStatus(row["status"]), Position(row["position"]))
        for row in await conn.fetch(LOAD_MEMBERSHIPS, list(account_ids))
    }


async def insert_members(conn: Connection, members: Sequence[tuple[UUID, UUID, Position]]) -> set[UUID]:
    """Write (account, seller, position); return the accounts that were no members of any seller."""
    rows = await conn.fetch(
        INSERT_MEMBERS, [m[0] for m in members], [m[1] for m in members], [m[2].value for m in members]
    )
    return {row["account_id"] for row in rows}


async def delete_members(conn: Connection, account_ids: Sequence[UUID]) -> None:
    """Make accounts members of no seller."""
    await conn.execute(DELETE_MEMBERS, list(account_ids))


async def write_edit(conn: Connection, before: Seller, edit: Edit) -> None:
    """Write what became of a locked seller, its event, and that the catalog shows it otherwise where it does."""
    await update_sellers(conn, [edit.seller])
    await insert_events(conn, [edit.event])
    if is_seen_by_buyers(before, edit.seller):
        await note_changes(conn, [edit.seller.id])
