"""Answers under idempotency keys: who works under a key, what was answered, and keeping it.

Invariant: an answer is written in the transaction that makes what it tells of, so there are both or neither. A key
belongs to one answer or one command; they share a table, whose primary key sees to it.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.journal.keys import digest

Key = tuple[UUID, bytes]
"""A principal and the hash of a key."""

# Held to the end of the transaction, before anything else is locked. A row that is inserted first and filled in last
# would do the same, but whoever accepts commands would wait for it with everybody's.
LOCK_KEYS = "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k"

LOAD_ANSWERS = """
SELECT k.principal, k.key_hash, k.fingerprint, k.answer
FROM unnest($1::uuid[], $2::bytea[]) AS t (principal, key_hash)
JOIN idempotency k ON k.principal = t.principal AND k.key_hash = t.key_hash
"""

KEEP_ANSWERS = """
INSERT INTO idempotency (principal, key_hash, fingerprint, answer)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[]) AS t (principal, key_hash, fingerprint, answer)
ORDER BY principal, key_hash
ON CONFLICT DO NOTHING RETURNING principal, key_hash
"""


class KeptAnswer(Struct, frozen=True):
    """What a key was used for: a request, by its fingerprint, and its answer, sealed; none for a command."""

    fingerprint: bytes
    answer: bytes | None


async def lock_keys(conn: Connection, keys: Sequence[Key]) -> None:
    """Wait until nobody else works under these keys, and keep others off until the transaction ends."""
    numbers = (digest(principal.bytes, key_hash)[:8] for principal, key_hash in keys)
    await conn.execute(LOCK_KEYS, sorted(int.from_bytes(number, signed=True) for number in numbers))


async def load_answers(conn: Connection, keys: Sequence[Key]) -> dict[Key, KeptAnswer]:
    """Return what stands under each key that is taken."""
    rows = await conn.fetch(LOAD_ANSWERS, [key[0] for key in keys], [key[1] for key in keys])
    return {(row["principal"], row["key_hash"]): KeptAnswer(row["fingerprint"], row["answer"]) for row in rows}


async def keep_answers(conn: Connection, answers: Sequence[tuple[Key, bytes, bytes]]) -> set[Key]:
    """Write (key, fingerprint, sealed answer); return the keys that were free. The others are commands' by now."""
    rows = await conn.fetch(
        KEEP_ANSWERS,
        [key[0] for key, _, _ in answers],
        [key[1] for key, _, _ in answers],
        [fingerprint for _, fingerprint, _ in answers],
        [answer for _, _, answer in answers],
    )
    return {(row["principal"], row["key_hash"]) for row in rows}
