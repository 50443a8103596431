"""Statements of API keys: write, replace, revoke, and look up who sends one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.accounts.key_model import ApiKey, HashedKey
from domain.accounts.model import Role, Scope
from domain.connection import Connection

_SHOWN = "id, name, scopes, created_at, expires_at, used_at, revoked_at, replaced_by"

INSERT_KEYS = """
INSERT INTO api_keys (id, account_id, name, hash, scopes, created_at, expires_at)
SELECT id, account_id, name, hash, scopes::text[], created_at, expires_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[], $7::timestamptz[])
    AS t (id, account_id, name, hash, scopes, created_at, expires_at)
"""

COUNT_KEYS = """
SELECT count(*) FILTER (WHERE replaced_by IS NULL) AS in_use,
       count(*) FILTER (WHERE replaced_by IS NOT NULL) AS overlapping
FROM api_keys WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now()
"""

LOCK_KEYS = "SELECT id FROM api_keys WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
LOAD_KEYS = f"SELECT {_SHOWN} FROM api_keys WHERE id = ANY ($1::uuid[]) AND account_id = $2"
LIST_KEYS = f"SELECT {_SHOWN} FROM api_keys WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"

REPLACE_KEYS = """
UPDATE api_keys k SET replaced_by = t.replaced_by, expires_at = t.expires_at
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS t (id, replaced_by, expires_at) WHERE k.id = t.id
"""

REVOKE_KEYS = "UPDATE api_keys SET revoked_at = now() WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL"

NOTE_STATE = """
INSERT INTO revocations (subject, epoch)
SELECT subject, $2 FROM unnest($1::uuid[]) AS t (subject) ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET epoch = excluded.epoch, at = now(), xid = pg_current_xact_id()
"""

# What an account may is read with the key, so that a principal is of one moment.
LOOK_UP = """
SELECT k.id, k.account_id, k.hash, k.scopes, k.expires_at, k.revoked_at IS NOT NULL AS revoked,
       k.replaced_by IS NOT NULL AS replaced, a.roles, a.epoch, a.status = 'suspended' AS suspended,
       EXISTS (
           SELECT FROM seller_members m JOIN sellers s ON s.id = m.seller_id
           WHERE m.account_id = a.id AND s.status = 'approved'
       ) AS sells
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.id = ANY ($1::uuid[])
"""

# Rows that somebody holds are left: the next use notes them, and nobody waits to learn when a key was used.
NOTE_USED = """
UPDATE api_keys SET used_at = now() WHERE id IN (
    SELECT id FROM api_keys
    WHERE id = ANY ($1::uuid[]) AND (used_at IS NULL OR used_at < now() - interval '1 minute')
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
"""


class KeyHolder(Struct, frozen=True):
    """What stands behind a key: its hash, and what whoever has the secret may do."""

    id: UUID
    account_id: UUID
    hash: bytes
    scopes: frozenset[Scope]
    expires_at: datetime
    revoked: bool
    replaced: bool
    roles: frozenset[Role]
    epoch: int
    suspended: bool


def _scopes(names: Iterable[str]) -> list[Scope]:
    # A process that is newer than this one may have written a scope that grants nothing here.
    return [scope for scope in Scope if scope.value in set(names)]


def _key(row: Mapping[str, Any]) -> ApiKey:
    return ApiKey(**{**row, "scopes": _scopes(row["scopes"])})


async def insert_keys(conn: Connection, keys: Sequence[HashedKey]) -> None:
    """Write keys."""
    await conn.execute(
        INSERT_KEYS,
        [k.id for k in keys],
        [k.account_id for k in keys],
        [k.name for k in keys],
        [k.hash for k in keys],
        ["{" + ",".join(sorted(k.scopes)) + "}" for k in keys],
        [k.created_at for k in keys],
        [k.expires_at for k in keys],
    )


async def count_keys(conn: Connection, account_id: UUID) -> tuple[int, int]:
    """How many good keys an account has: those in use, and those that were replaced. Lock the account first."""
    row = await conn.fetchrow(COUNT_KEYS, account_id)
    return (0, 0) if row is None else (row["in_use"], row["overlapping"])


async def lock_keys(conn: Connection, key_ids: Sequence[UUID]) -> None:
    """Lock keys; read them in the next statement."""
    await conn.fetch(LOCK_KEYS, list(key_ids))


async def load_keys(conn: Connection, account_id: UUID, key_ids: Sequence[UUID]) -> dict[UUID, ApiKey]:
    """Read keys of an account; what is another's is missing."""
    return {row["id"]: _key(row) for row in await conn.fetch(LOAD_KEYS, list(key_ids), account_id)}


async def list_keys(conn: Connection, account_id: UUID, *, below: UUID, limit: int) -> list[ApiKey]:
    """An account's keys, newest first, those that are over included."""
    return [_key(row) for row in await conn.fetch(LIST_KEYS, account_id, below, limit)]


async def replace_keys(conn: Connection, replaced: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """Note (id, the id of the key that replaces it, when it ends)."""
    ids, by, ends = (list(column) for column in zip(*replaced, strict=True))
    await conn.execute(REPLACE_KEYS, ids, by, ends)


async def revoke_keys(conn: Connection, key_ids: Sequence[UUID]) -> None:
    """End keys now."""
    await conn.execute(REVOKE_KEYS, list(key_ids))


async def note_state(conn: Connection, key_ids: Sequence[UUID], state: int) -> None:
    """Have every process look some keys up anew within a second."""
    await conn.execute(NOTE_STATE, list(key_ids), state)


async def look_up(conn: Connection, key_ids: Sequence[UUID]) -> dict[UUID, KeyHolder]:
    """Read who stands behind keys, whatever their state; unknown ones are missing."""
    return {row["id"]: _holder(row) for row in await conn.fetch(LOOK_UP, list(key_ids))}


def _holder(row: Mapping[str, Any]) -> KeyHolder:
    roles = {Role(role) for role in row["roles"]} | ({Role.SELLER} if row["sells"] else set())
    return KeyHolder(
        id=row["id"],
        account_id=row["account_id"],
        hash=row["hash"],
        scopes=frozenset(_scopes(row["scopes"])),
        expires_at=row["expires_at"],
        revoked=row["revoked"],
        replaced=row["replaced"],
        roles=frozenset(roles),
        epoch=row["epoch"],
        suspended=row["suspended"],
    )


async def note_used(conn: Connection, key_ids: Iterable[UUID]) -> None:
    """Note that keys were used now; at most once a minute each."""
    await conn.execute(NOTE_USED, list(key_ids))
