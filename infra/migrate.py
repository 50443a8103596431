"""Migrations: run under an advisory lock, in one transaction with the note that they ran.

Invariant: safe to run twice and at once. A crash at any point leaves the schema as it was before. After a restore into
a new cluster the clock of events goes on from where the old one stood, before anything else is written.
"""

import contextlib
import io
import os
from datetime import UTC, datetime
from typing import Any

import asyncpg

from domain.journal.event_sql import rebase_clock
from domain.journal.partitions import ensure_partitions

_LOCK = 0x6F726472  # "ordr"


async def migrate(database_url: str) -> int:
    """Bring the schema to the newest version; return how many migrations ran. Raises RuntimeError."""
    os.environ["PICCOLO_CONF"] = "infra.piccolo_conf"
    # Piccolo's engine looks at the server's version as soon as it is made.
    os.environ["DATABASE_URL"] = database_url
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415 - reads PICCOLO_CONF
    from piccolo.apps.migrations.tables import Migration  # noqa: PLC0415

    from infra.piccolo_conf import DB  # noqa: PLC0415

    DB.config = {"dsn": database_url}
    # Piccolo prints what it does; the caller says how many migrations ran, and an error says the rest.
    with contextlib.redirect_stdout(io.StringIO()):
        async with DB.transaction():
            await Migration.raw(f"SELECT pg_advisory_xact_lock({_LOCK})")
            before = await Migration.count() if await Migration.table_exists() else 0
            result = await run_forwards("ordermill")
            if not result.success:
                raise RuntimeError(result.message or "the migration failed")
            after = await Migration.count()
    await _prepare(database_url)
    return int(after) - int(before)


async def _prepare(database_url: str) -> None:
    connection: Any = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await ensure_partitions(connection, datetime.now(UTC))
            await rebase_clock(connection)
    finally:
        await connection.close()
