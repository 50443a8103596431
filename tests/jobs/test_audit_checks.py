"""The audit as a sweep: every check, piece by piece; what is violated is told, what isn't finished isn't passed."""

from typing import Any

import asyncpg
import pytest

import jobs
from domain import invariants
from domain.invariants import INVARIANTS
from domain.operation.audit_sql import load_checks
from domain.operation.auditing import AuditCheck, SweepAudit
from tests.builders import place, submit, write_offers
from tests.counting import counting
from tests.engine.parts import Rig, run_due
from tests.jobs.outside import database_outside
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio

WRITING = """
SELECT query FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND backend_xid IS NOT NULL
"""


def runner() -> EffectRunner:
    job: Any = jobs.load()["audit_checks"]
    return EffectRunner(job)


async def trade(rig: Rig, orders: int = 3) -> None:
    (offer,) = await write_offers(rig.conn)
    await submit(rig.conn, *[place(offer) for _ in range(orders)])
    job: Any = jobs.load()["place_orders"]
    await rig.drain(rig.runner(job))


async def sweep(rig: Rig) -> None:
    job: Any = jobs.load()["sweep_audit"]
    await submit(rig.conn, SweepAudit())
    await rig.drain(rig.runner(job))


async def test_a_round_runs_every_check_and_writes_down_how_each_stands(rig: Rig):
    await trade(rig)
    async with database_outside(rig.settings):
        await sweep(rig)
        await run_due(rig, runner())
    checks = await load_checks(rig.conn)
    assert {check.name for check in checks} == set(INVARIANTS)
    assert {(check.finished, check.violations, *check.sample) for check in checks} == {(True, 0)}


async def test_a_round_waits_for_the_one_before(rig: Rig):
    await sweep(rig)
    await sweep(rig)
    assert await rig.conn.fetchval("SELECT count(*) FROM pending WHERE job = 'audit_checks'") == len(INVARIANTS)


async def test_what_is_violated_is_written_down_logged_and_counted(rig: Rig):
    await trade(rig)
    alarms = counting("ordermill_alarms_total", alarm="audit_violated")
    await rig.conn.execute("UPDATE orders SET version = version + 1")
    async with database_outside(rig.settings):
        await submit(rig.conn, AuditCheck("order_version_is_last_event"), AuditCheck("nothing_oversold"))
        await run_due(rig, runner())
    found = {check.name: (check.violations, len(check.sample)) for check in await load_checks(rig.conn)}
    assert found == {"order_version_is_last_event": (3, 3), "nothing_oversold": (0, 0)}
    assert alarms() == 1


async def test_a_large_database_is_walked_in_pieces_over_several_commands(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    await trade(rig, orders=5)
    await rig.conn.execute("UPDATE orders SET version = version + 1")
    monkeypatch.setattr(invariants, "_SLICE_ORDERS", 2)
    monkeypatch.setattr("jobs.audit_checks.TRY_SECONDS", 0.0)
    async with database_outside(rig.settings) as outside:
        await submit(rig.conn, AuditCheck("order_version_is_last_event"))
        await run_due(rig, runner())
        assert len(outside.acts()) == 3, "two orders a try, and the last one"
    (check,) = await load_checks(rig.conn)
    assert (check.finished, check.violations, len(check.sample)) == (True, 5, 5)


async def test_what_takes_too_long_is_not_told_as_passed(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    await trade(rig)
    async with rig.pool.acquire() as other, database_outside(rig.settings):
        begin = invariants._BEGIN.replace("'9s'", "'1ms'")
        monkeypatch.setattr(invariants, "_BEGIN", begin)
        monkeypatch.setitem(invariants.INVARIANTS, "nothing_oversold", "SELECT pg_sleep(5)::text AS key")
        await submit(rig.conn, AuditCheck("nothing_oversold"))
        await run_due(rig, runner())
        (check,) = await load_checks(other)
    assert (check.name, check.finished, check.violations) == ("nothing_oversold", False, 0)


async def test_a_check_there_is_not_any_more_is_done_with(rig: Rig):
    async with database_outside(rig.settings):
        (job,) = await submit(rig.conn, AuditCheck("an_old_one"))
        await run_due(rig, runner())
    assert await rig.statuses([job]) == ["succeeded"]
    assert await load_checks(rig.conn) == []


async def test_a_check_holds_up_nobody_who_reads_events(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    """While it looks no transaction of its own is open that has a number, or readers of events would wait for it."""
    seen: list[Any] = []
    look = invariants._look

    async def watched(conn: Any, query: str, *args: object) -> Any:
        other = await asyncpg.connect(rig.settings.database_url)
        try:
            seen.append(await other.fetch(WRITING))
        finally:
            await other.close()
        return await look(conn, query, *args)

    monkeypatch.setattr(invariants, "_look", watched)
    async with database_outside(rig.settings):
        await submit(rig.conn, AuditCheck("nothing_oversold"))
        await run_due(rig, runner())
    assert seen == [[]]
