"""A dump that is restored into a new cluster: migrating makes it good, and events go on."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain.insights.sql import SELLER_SALES
from domain.invariants import run_audit
from domain.journal.event_reads import load_subscriptions, read_events
from domain.journal.event_sql import found_subscriptions
from domain.journal.events import BEGINNING
from infra.migrate import migrate
from ops.stack import EmbeddedStack
from ops.stack.binaries import postgres_binary
from tests.builders import place, submit, write_offers
from tests.engine.listening import happen, readable
from tests.ops.running import run_all

pytestmark = pytest.mark.anyio

# Restoring takes a few thousand transactions by itself.
COUNT_ON = """
DO $$ BEGIN FOR n IN 1..50000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
"""
AHEAD = "SELECT max(xid) > pg_current_xact_id() FROM events"


@pytest.fixture
def other_cluster() -> Iterator[str]:
    """A database without a table in a cluster that has just begun to count."""
    folder = Path(tempfile.mkdtemp(prefix="ordermill-restored-"))
    folder.chmod(0o755)
    try:
        with EmbeddedStack(folder) as running:
            yield running.urls.database_url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(program: str, *arguments: str, said: bytes = b"") -> bytes:
    done = subprocess.run(
        [str(postgres_binary(program)), *arguments], input=said, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


async def test_events_go_on_where_they_were(conn: Any, database_url: str, other_cluster: str):
    await conn.execute("SET synchronous_commit = off")
    await conn.execute(COUNT_ON)
    (offer,) = await write_offers(conn)
    await submit(conn, place(offer))
    await run_all(conn, database_url, "place_orders")
    await found_subscriptions(conn, [(SELLER_SALES.table, True)])
    await readable(conn)
    read = (await read_events(conn, BEGINNING, 1_000)).cursor
    unread = await happen(conn, "test.done")
    run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", other_cluster, said=run("pg_dump", "-d", database_url))
    restored = await asyncpg.connect(other_cluster)
    try:
        assert await restored.fetchval(AHEAD)
        await migrate(other_cluster)
        await submit(restored, place(offer))
        await run_all(restored, other_cluster, "place_orders")
        await readable(restored)
        found = (await read_events(restored, read, 1_000)).events
        assert [event.type for event in found] == ["test.done", "order.placed"]
        assert f"{found[0].stream}-1" == unread[0]
        (figures,) = await load_subscriptions(restored)
        assert figures.lag == 2
        audit = await run_audit(restored)
        assert [check.name for check in audit.checks if check.violations] == []
    finally:
        await restored.close()
