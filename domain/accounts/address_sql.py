"""Statements of addresses. Lock the account before adding one: the limit counts what is there then."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.accounts.address_model import Address, PostalAddress
from domain.connection import Connection

_WRITTEN = PostalAddress.__struct_fields__
_NAMES = ", ".join(_WRITTEN)
_ARRAYS = ", ".join(f"${n}::text[]" for n in range(3, 3 + len(_WRITTEN)))
_SHOWN = f"{_NAMES}, id, version, created_at"

INSERT_ADDRESSES = f"""
INSERT INTO addresses (id, account_id, {_NAMES})
SELECT * FROM unnest($1::uuid[], $2::uuid[], {_ARRAYS}) RETURNING id, created_at
"""

COUNT_ADDRESSES = "SELECT count(*) FROM addresses WHERE account_id = $1"
LOCK_ADDRESSES = "SELECT id FROM addresses WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
LOAD_ADDRESSES = f"SELECT {_SHOWN} FROM addresses WHERE id = ANY ($1::uuid[]) AND account_id = $2"
LOAD_ADDRESSES_OF = f"""
SELECT a.account_id, a.id, {_NAMES}
FROM unnest($1::uuid[], $2::uuid[]) AS t (account_id, id)
JOIN addresses a ON a.id = t.id AND a.account_id = t.account_id
"""
LIST_ADDRESSES = f"SELECT {_SHOWN} FROM addresses WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"

REPLACE_ADDRESSES = f"""
UPDATE addresses a SET {", ".join(f"{name} = t.{name}" for name in _WRITTEN)}, version = t.version
FROM unnest($1::uuid[], $2::integer[], {_ARRAYS}) AS t (id, version, {_NAMES}) WHERE a.id = t.id
"""

DELETE_ADDRESSES = "DELETE FROM addresses WHERE id = ANY ($1::uuid[])"


def _columns(addresses: Sequence[PostalAddress]) -> list[list[str]]:
    return [[getattr(address, name) for address in addresses] for name in _WRITTEN]


async def insert_addresses(
    conn: Connection, account_id: UUID, addresses: Sequence[tuple[UUID, PostalAddress]]
) -> dict[UUID, datetime]:
    """Write addresses of an account, each with its id; return when each was written."""
    ids = [address_id for address_id, _ in addresses]
    columns = _columns([address for _, address in addresses])
    rows = await conn.fetch(INSERT_ADDRESSES, ids, [account_id] * len(ids), *columns)
    return {row["id"]: row["created_at"] for row in rows}


async def count_addresses(conn: Connection, account_id: UUID) -> int:
    """How many addresses an account has."""
    count: int = await conn.fetchval(COUNT_ADDRESSES, account_id)
    return count


async def lock_addresses(conn: Connection, address_ids: Sequence[UUID]) -> None:
    """Lock addresses; read them in the next statement."""
    await conn.fetch(LOCK_ADDRESSES, list(address_ids))


async def load_addresses(conn: Connection, account_id: UUID, address_ids: Sequence[UUID]) -> dict[UUID, Address]:
    """Read addresses of an account; what is another's is missing."""
    return {row["id"]: Address(**row) for row in await conn.fetch(LOAD_ADDRESSES, list(address_ids), account_id)}


async def list_addresses(conn: Connection, account_id: UUID, *, below: UUID, limit: int) -> list[Address]:
    """An account's addresses, newest first."""
    return [Address(**row) for row in await conn.fetch(LIST_ADDRESSES, account_id, below, limit)]


async def replace_addresses(conn: Connection, replaced: Sequence[tuple[UUID, int, PostalAddress]]) -> None:
    """Put (id, the version it has then, address) in place of what was there."""
    columns = _columns([address for _, _, address in replaced])
    await conn.execute(REPLACE_ADDRESSES, [r[0] for r in replaced], [r[1] for r in replaced], *columns)


async def delete_addresses(conn: Connection, address_ids: Sequence[UUID]) -> None:
    """Forget addresses."""
    await conn.execute(DELETE_ADDRESSES, list(address_ids))


async def load_addresses_of(
    conn: Connection, wanted: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], PostalAddress]:
    """Read addresses, each by (account id, address id); what is another's is missing."""
    rows = await conn.fetch(LOAD_ADDRESSES_OF, [who for who, _ in wanted], [address for _, address in wanted])
    return {(row["account_id"], row["id"]): PostalAddress(**{n: row[n] for n in _WRITTEN}) for row in rows}
