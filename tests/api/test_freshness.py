"""What changed elsewhere is known here within a second, whatever the order of commits, or it is an error to ask."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from api import freshness
from api.freshness import Freshness
from domain.accounts.account_sql import revoke_subjects
from domain.journal.changes_sql import note_changes
from infra import postgres
from infra.settings import Settings

pytestmark = pytest.mark.anyio


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(freshness, "time", made)
    return made


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Any]:
    opened = await postgres.create_pool(settings, size=4, name="test")
    yield opened
    opened.terminate()


async def later(view: Freshness, clock: Clock) -> None:
    """Look again, because what is known has become stale."""
    clock.now += freshness.STALE_SECONDS + 0.01
    await view.ensure()


async def test_what_was_revoked_is_known_at_the_next_look_and_not_looked_for_meanwhile(
    conn: Any, pool: Any, clock: Clock
):
    view, subject = Freshness(pool), uuid4()
    await view.ensure()
    await revoke_subjects(conn, [subject])
    clock.now += freshness.STALE_SECONDS - 0.01
    await view.ensure()
    assert not view.is_revoked(subject, 0)
    await later(view, clock)
    assert view.is_revoked(subject, 0)
    assert not view.is_revoked(uuid4(), 0)


async def test_what_was_revoked_before_the_process_began_is_known_from_the_start(conn: Any, pool: Any, clock: Clock):
    subject = uuid4()
    await conn.execute("INSERT INTO revocations (subject, epoch) VALUES ($1, 3)", subject)
    view = Freshness(pool)
    await view.ensure()
    assert view.is_revoked(subject, 2)
    assert not view.is_revoked(subject, 3)


async def test_a_commit_that_comes_late_is_not_missed(conn: Any, pool: Any, clock: Clock, database_url: str):
    """A transaction that began before a look and ends after later ones have been seen."""
    view, early, late = Freshness(pool), uuid4(), uuid4()
    other = await asyncpg.connect(database_url)
    try:
        slow = other.transaction()
        await slow.start()
        await note_changes(other, [early])
        await note_changes(conn, [late])
        await view.ensure()
        horizon = view.horizon
        assert not view.is_unchanged(horizon, (late,)), "the slow one holds the horizon back"
        await later(view, clock)
        assert view.is_unchanged(view.horizon, (early,))
        await slow.commit()
        await later(view, clock)
        assert not view.is_unchanged(horizon, (early,))
        assert view.is_unchanged(view.horizon, (early, late))
    finally:
        await other.close()


async def test_a_read_is_held_against_every_thing_it_is_made_of(conn: Any, pool: Any, clock: Clock):
    view, things = Freshness(pool), [uuid4() for _ in range(3)]
    await view.ensure()
    read_at = view.horizon
    assert view.is_unchanged(read_at, tuple(things))
    await note_changes(conn, [things[2]])
    await later(view, clock)
    assert view.is_unchanged(read_at, tuple(things[:2]))
    assert not view.is_unchanged(read_at, tuple(things))


async def test_too_many_changes_make_every_earlier_read_worthless(
    conn: Any, pool: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(freshness, "CHANGES_MAX", 5)
    view = Freshness(pool)
    await view.ensure()
    read_at = view.horizon
    await note_changes(conn, [uuid4() for _ in range(6)])
    await later(view, clock)
    assert not view.is_unchanged(read_at, (uuid4(),))
    assert view.is_unchanged(view.horizon, (uuid4(),))


async def test_what_retention_dropped_is_forgotten(conn: Any, pool: Any, clock: Clock):
    view, subject = Freshness(pool), uuid4()
    await revoke_subjects(conn, [subject])
    await view.ensure()
    await conn.execute("DELETE FROM revocations")
    await later(view, clock)
    assert view.is_revoked(subject, 0)
    clock.now += freshness.RELOAD_SECONDS
    await view.ensure()
    assert not view.is_revoked(subject, 0)


async def test_who_doubts_looks_again_past_a_look_that_began_before(conn: Any, pool: Any, clock: Clock):
    view, subject = Freshness(pool), uuid4()
    await view.ensure()
    clock.now += freshness.STALE_SECONDS / 2
    under_way = view._look_once()
    await revoke_subjects(conn, [subject])
    clock.now += 0.001
    view.doubt()
    clock.now += 0.001
    await view.ensure()
    assert under_way.done()
    assert view.is_revoked(subject, 0)


async def test_who_waits_together_waits_for_one_look(pool: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    view, looks = Freshness(pool), []
    look = view._look

    async def counted() -> None:
        looks.append(1)
        await look()

    monkeypatch.setattr(view, "_look", counted)
    await asyncio.gather(*(view.ensure() for _ in range(50)))
    assert looks == [1]


async def test_who_can_not_be_sure_is_told_so(settings: Settings, clock: Clock):
    pool = await postgres.create_pool(settings, size=1, name="test")
    view = Freshness(pool)
    await view.ensure()
    pool.terminate()
    clock.now += freshness.STALE_SECONDS + 0.01
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await view.ensure()
    assert postgres.classify(caught.value) is postgres.Failure.INFRASTRUCTURE
