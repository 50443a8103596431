"""The versions of the rules that orders are priced by.

Invariant: a version rises in the transaction that changes its part, so whoever reads it after a change was acknowledged
knows of that change. Its row is locked from then on to the end: changes of one part follow each other.
"""

from domain.connection import Connection

RAISE_VERSION = """
INSERT INTO pricing_versions (part, version) VALUES ($1, 1)
ON CONFLICT (part) DO UPDATE SET version = pricing_versions.version + 1 RETURNING version
"""

# Only a number comes back: asyncpg 0.32 writes past the end of a row without columns.
HOLD_VERSION = "SELECT count(*) FROM (SELECT FROM pricing_versions WHERE part = $1 FOR SHARE) AS held"


async def raise_version(conn: Connection, part: str) -> int:
    """Raise the version of a part of the rules (``commission``, ``promotions``, ``rates``); return the new one."""
    version: int = await conn.fetchval(RAISE_VERSION, part)
    return version


async def hold_version(conn: Connection, part: str) -> None:
    """Keep a part of the rules from being changed until this transaction ends."""
    await conn.execute(HOLD_VERSION, part)
