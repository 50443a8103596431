"""Metrics: their names and labels, what is told when something is away, and where workers are asked."""

import asyncio
import re
import socket
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from infra import exposition, figures, metrics, postgres
from infra.broker import Doorbell
from infra.figures import Figures
from infra.parties import PartyOpenError
from infra.settings import Settings
from tests.builders import submit
from tests.counting import of, scrape, series, value
from tests.engine.parts import Note
from tests.infra.test_parties import AwayError, a_party

pytestmark = pytest.mark.anyio

BOUNDED = {
    "method", "route", "status", "job", "lane", "outcome", "code", "kind", "answer", "party", "currency", "alarm",
    "dependency", "state", "check", "subscription",
}  # fmt: skip
NOBODY = "postgresql://nobody@127.0.0.1:1/nowhere"


def test_names_are_ours_in_base_units_and_labels_are_bounded():
    for name, metric in metrics.METRICS.items():
        assert re.fullmatch(r"ordermill_[a-z_]+", name)
        assert not re.search(r"_(ms|minutes|milliseconds|count|sum|bucket)\b", name), name
        assert set(metric.labels) <= BOUNDED, name


async def told(settings: Settings) -> Any:
    pool = await postgres.create_pool(settings, size=1, name="test")
    doorbell = Doorbell(settings.redis_url)
    try:
        figures = Figures(pool, doorbell)
        text, media_type = await exposition.Teller(exposition.registry_of(figures), figures.look).tell("text/plain")
        assert media_type.startswith("text/plain")
        return series(text.decode())
    finally:
        doorbell.close()
        pool.terminate()


async def test_the_database_says_how_queues_stand(settings: Settings, conn: Any):
    await submit(conn, Note("a"), Note("b"))
    await conn.execute("UPDATE pending SET job = 'place_orders', run_at = now() - interval '60 seconds'")
    await conn.execute("INSERT INTO paused_lanes (lane, paused_by) VALUES ('stock', gen_random_uuid())")
    found = await told(settings)
    queue = {"job": "place_orders", "lane": "orders"}
    assert of(found, "ordermill_queue_commands", **queue) == 2
    assert 60 <= (of(found, "ordermill_queue_oldest_seconds", **queue) or 0) < 120
    assert of(found, "ordermill_queue_oldest_seconds", job="cancel_orders", lane="orders") == 0
    assert of(found, "ordermill_parked_commands", **queue) == 0
    assert of(found, "ordermill_lane_paused", lane="stock") == 1
    assert of(found, "ordermill_lane_paused", lane="orders") == 0
    assert of(found, "ordermill_lane_workers", lane="orders") == 0
    assert (of(found, "ordermill_partition_days_left") or 0) > 3
    assert of(found, "ordermill_reservations_active") == 0
    assert of(found, "ordermill_payments_open", state="pending") == 0
    assert {of(found, "ordermill_up", dependency=name) for name in ("postgresql", "redis")} == {1}


async def test_the_database_says_what_the_audit_found_and_what_is_late(settings: Settings, conn: Any):
    found = await told(settings)
    assert of(found, "ordermill_oversold_offers") is None, "nobody has looked yet"
    await conn.execute(
        "INSERT INTO audit_checks (name, at, took_ms, finished, violations, sample) VALUES"
        " ('nothing_oversold', now() - interval '1 hour', 5, true, 0, '{}'),"
        " ('ledger_sums_to_zero', now(), 9000, false, 2, '{USD}')"
    )
    await conn.execute(
        "INSERT INTO sweep_ticks (job, slot, period_seconds, command_id, at) VALUES"
        " ('rescue_runs', 1, 2, gen_random_uuid(), now() - interval '10 seconds'),"
        " ('expire_reservations', 1, 5, gen_random_uuid(), now() - interval '10 minutes'),"
        " ('an_old_one', 1, 5, gen_random_uuid(), now() - interval '10 days')"
    )
    found = await told(settings)
    assert of(found, "ordermill_audit_violations", check="ledger_sums_to_zero") == 2
    assert of(found, "ordermill_oversold_offers") == 0
    assert of(found, "ordermill_audit_unfinished") == 1
    assert 3_600 <= (of(found, "ordermill_audit_oldest_seconds") or 0) < 3_700
    late = {job: of(found, "ordermill_sweep_late", job=job) for job in ("rescue_runs", "expire_reservations")}
    assert late == {"rescue_runs": 0, "expire_reservations": 1}
    assert of(found, "ordermill_sweep_late", job="an_old_one") is None


async def test_what_is_away_is_told_and_the_rest_is_told_anyway(settings: Settings):
    away = msgspec.structs.replace(settings, database_url=NOBODY, redis_url="redis://127.0.0.1:1")
    with capture_logs() as lines:
        found = await told(away)
    assert {of(found, "ordermill_up", dependency=name) for name in ("postgresql", "redis")} == {0}
    assert not [name for name, _ in found if name == "ordermill_queue_commands"]
    assert of(found, "ordermill_accept_seconds_count") is not None
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["figures_unknown"]


async def test_many_who_ask_look_at_the_database_once(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    looks = []
    load = figures.load_seen

    async def counted(*args: Any) -> Any:
        looks.append(args)
        return await load(*args)

    monkeypatch.setattr(figures, "load_seen", counted)
    pool = await postgres.create_pool(settings, size=3, name="test")
    doorbell = Doorbell(settings.redis_url)
    try:
        standing = Figures(pool, doorbell)
        await asyncio.gather(*[standing.look() for _ in range(20)])
    finally:
        doorbell.close()
        pool.terminate()
    assert len(looks) == 1


async def test_many_who_ask_are_told_what_was_written_once(monkeypatch: pytest.MonkeyPatch):
    looks: list[str] = []

    async def look() -> None:
        looks.append("looked")

    teller = exposition.Teller(exposition.registry_of(), look)
    told = await asyncio.gather(*[teller.tell("*/*") for _ in range(20)])
    assert (len(looks), len(set(told))) == (1, 1)
    text, media_type = await teller.tell("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    monkeypatch.setattr(exposition, "KEPT_SECONDS", 0.0)
    await teller.tell("")
    assert len(looks) == 3


async def test_a_breaker_shows_that_it_is_open_and_that_it_closed():
    party = a_party(failures=1)
    trips = value("ordermill_breaker_trips_total", party="acme")

    async def fail(_seconds: float) -> None:
        raise AwayError

    async def answer(_seconds: float) -> None:
        return None

    assert value("ordermill_breaker_open", party="acme") == 0
    with pytest.raises(AwayError):
        await party.run(fail, 1.0)
    assert value("ordermill_breaker_open", party="acme") == 1
    assert value("ordermill_breaker_trips_total", party="acme") == trips + 1
    while True:
        try:
            await party.run(answer, 1.0)
        except PartyOpenError:
            await asyncio.sleep(0.01)
        else:
            break
    assert value("ordermill_breaker_open", party="acme") == 0


def free_ports() -> int:
    """The first of two neighbouring ports that nobody listens on."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def test_processes_with_the_same_port_listen_side_by_side(settings: Settings):
    port = free_ports()
    here = msgspec.structs.replace(settings, metrics_port=port)
    with capture_logs() as lines, exposition.listening(here), exposition.listening(here):
        assert [line["port"] for line in lines if line["event"] == "metrics_ready"] == [port, port + 1]
        for each in (port, port + 1):
            assert of(scrape(httpx, f"http://127.0.0.1:{each}/metrics"), "ordermill_accept_seconds_count") is not None


def test_who_finds_no_port_works_without_one_and_says_so(settings: Settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65_535))
        taken.listen()
        here = msgspec.structs.replace(settings, metrics_port=65_535)
        with capture_logs() as lines, exposition.listening(here):
            assert [line["event"] for line in lines] == ["metrics_unheard"]


def test_nobody_listens_unless_a_port_is_set(settings: Settings):
    with capture_logs() as lines, exposition.listening(settings):
        assert lines == []
