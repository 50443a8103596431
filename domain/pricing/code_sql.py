"""Statements of codes: make them, and say which promotion a code belongs to.

Invariant: a code is inserted or it isn't; whose it is then, the row says. Codes are written in the order of their keys,
so two commands that make the same ones wait for each other once and never in a circle. What a command made is noted
under its id: it makes nothing a second time.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.pricing.codes import code_key

INSERT_CODES = """
INSERT INTO promotion_codes (key, text, promotion_id)
SELECT t.key, t.text, $3 FROM unnest($1::text[], $2::text[]) AS t (key, text) ORDER BY t.key
ON CONFLICT (key) DO NOTHING
"""

INSERT_CODES_RETURNING = f"{INSERT_CODES} RETURNING key"

LOAD_OWNERS = "SELECT key, promotion_id FROM promotion_codes WHERE key = ANY ($1::text[])"

DELETE_CODES = "DELETE FROM promotion_codes WHERE key = ANY ($1::text[])"

LOAD_CODE_BATCHES = "SELECT command_id, made FROM code_batches WHERE command_id = ANY ($1::uuid[])"

INSERT_CODE_BATCH = "INSERT INTO code_batches (command_id, promotion_id, made, at) VALUES ($1, $2, $3, $4)"


async def add_codes(conn: Connection, promotion_id: UUID, texts: Sequence[str]) -> int:
    """Make codes that aren't there yet; return how many."""
    done = await conn.execute(INSERT_CODES, [code_key(text) for text in texts], texts, promotion_id)
    return int(done.rpartition(" ")[2])


async def claim_codes(conn: Connection, promotion_id: UUID, texts: Sequence[str]) -> tuple[int, set[str]]:
    """Make codes that are listed, unless one belongs to another promotion.

    Returns how many were made, and the keys that are others': with any of these nothing was made.
    """
    wanted = {code_key(text): text for text in texts}
    rows = await conn.fetch(INSERT_CODES_RETURNING, list(wanted), list(wanted.values()), promotion_id)
    owners = await conn.fetch(LOAD_OWNERS, list(wanted))
    others = {row["key"] for row in owners if row["promotion_id"] != promotion_id}
    if others:
        await conn.execute(DELETE_CODES, [row["key"] for row in rows])
        return 0, others
    return len(rows), others


async def load_batches(conn: Connection, commands: Sequence[UUID]) -> dict[UUID, int]:
    """How many codes commands have made; those that haven't run are missing."""
    return {row["command_id"]: row["made"] for row in await conn.fetch(LOAD_CODE_BATCHES, commands)}


async def note_batch(conn: Connection, command: UUID, promotion_id: UUID, made: int, now: datetime) -> None:
    """Note what a command has made."""
    await conn.execute(INSERT_CODE_BATCH, command, promotion_id, made, now)
