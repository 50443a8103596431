"""The versions of the rules that orders are priced by.

Invariant: a version rises in the transaction that changes its part, so whoever reads it after a change was acknowledged
knows of that change. Its row is locked from then on to the end: changes of one part follow each other.
"""

from domain.connection import Connection

RAISE_VERSION = """
INSERT INTO pricing_versions (part, version) VALUES ($1, 1)
ON CONFLICT (part) DO UPDATE SET version = pricing_versions.version + 1 RETURNING version
"""


async def raise_version(conn: Connection, part: str) -> int:
    """Raise the version of a part of the rules (``commission``, ``promotions``, ``rates``); return the new one."""
    version: int = await conn.fetchval(RAISE_VERSION, part)
    return version
