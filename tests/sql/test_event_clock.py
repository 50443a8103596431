"""The clock of events: after a dump was restored into a new cluster, readers go on where they were."""

from typing import Any

import asyncpg
import pytest

from domain.journal.event_reads import read_events
from domain.journal.event_sql import rebase_clock
from domain.journal.events import EventCursor
from domain.journal.sql import insert_events
from infra.clock import new_id
from infra.migrate import migrate
from tests.engine.listening import happened, readable

pytestmark = pytest.mark.anyio

FAR = 2**40
"""The number of a transaction this cluster is far from."""
RESTORE = "INSERT INTO events (stream, version, type, data, actor, xid) VALUES ($1, 1, 'test', '{}', $1, $2)"


async def restored(conn: Any, *numbers: int) -> list[Any]:
    """Events as a dump of a cluster that was further brings them."""
    streams = [new_id() for _ in numbers]
    for stream, number in zip(streams, numbers, strict=True):
        await conn.execute(RESTORE, stream, number)
    return streams


async def append(conn: Any) -> Any:
    event = happened()
    await insert_events(conn, [event])
    return event.stream


async def read_all(conn: Any, after: EventCursor, *, settled: bool = True) -> tuple[list[Any], EventCursor]:
    if settled:
        await readable(conn)
    portion = await read_events(conn, after, 100)
    return [event.stream for event in portion.events], portion.cursor


async def test_after_a_restore_a_reader_goes_on_behind_what_it_had_read(conn: Any, database_url: str):
    _, unread = await restored(conn, FAR, FAR + 5)
    assert await migrate(database_url) == 0
    new = await append(conn)
    streams, cursor = await read_all(conn, EventCursor(FAR, 1))
    assert streams == [unread, new]
    newer = await append(conn)
    assert (await read_all(conn, cursor))[0] == [newer]


async def test_without_it_what_is_new_would_be_passed_as_read(conn: Any):
    """What the clock is for."""
    await restored(conn, FAR)
    await append(conn)
    assert await read_all(conn, EventCursor(FAR, 1), settled=False) == ([], EventCursor(FAR, 1))


async def test_a_place_further_than_any_event_counts_as_well(conn: Any, database_url: str):
    await conn.execute("INSERT INTO subscriptions (name, xid, position) VALUES ('s', $1, 0)", FAR)
    await migrate(database_url)
    new = await append(conn)
    assert (await read_all(conn, EventCursor(FAR, 0)))[0] == [new]


async def test_a_reader_still_waits_for_open_transactions_by_the_new_clock(conn: Any, database_url: str):
    await restored(conn, FAR)
    await migrate(database_url)
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        early = await append(other)
        late = await append(conn)
        assert (await read_all(conn, EventCursor(FAR, 1), settled=False))[0] == []
        await transaction.commit()
        assert (await read_all(conn, EventCursor(FAR, 1)))[0] == [early, late]
    finally:
        await other.close()


async def test_a_transaction_that_was_open_meanwhile_writes_behind_what_is_stored(conn: Any, database_url: str):
    await restored(conn, FAR)
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_current_xact_id()")
        await migrate(database_url)
        stream = await append(other)
        await transaction.commit()
    finally:
        await other.close()
    assert (await read_all(conn, EventCursor(FAR, 1)))[0] == [stream]


async def test_a_second_restore_counts_on_from_there(conn: Any, database_url: str):
    await restored(conn, FAR)
    await migrate(database_url)
    await append(conn)
    await restored(conn, FAR * 2)
    await migrate(database_url)
    new = await append(conn)
    assert (await read_all(conn, EventCursor(FAR * 2, 2**62)))[0] == [new]


async def test_notes_of_runs_of_another_cluster_are_forgotten(conn: Any, database_url: str):
    """PostgreSQL answers a question about a transaction to come with an error."""
    await restored(conn, FAR)
    await conn.execute("INSERT INTO runs (worker, job, xid, ids) VALUES ($1, 'j', $2, '{}')", new_id(), FAR)
    await migrate(database_url)
    assert await conn.fetchval("SELECT count(*) FROM runs") == 0


async def test_a_cluster_of_its_own_counts_as_it_did(conn: Any):
    await append(conn)
    await conn.execute("INSERT INTO subscriptions (name, xid, position) VALUES ('s', event_horizon(), 0)")
    assert not await rebase_clock(conn)
    await append(conn)
    assert not await rebase_clock(conn)
    assert await conn.fetchval("SELECT bool_and(pg_xact_status(xid) = 'committed') FROM events")
