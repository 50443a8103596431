"""An effect: leased, tried outside any transaction, recorded once by whoever holds the lease."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.journal.model import Rejected, Succeeded, TryAgain
from domain.rejections import Code, Rejection
from infra.clock import new_id
from tests.builders import submit
from tests.engine.parts import Call, Rig, due_now, effect_job, run_due, until
from workers import effects
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio


def refusal() -> Rejected:
    return Rejected(Rejection(409, Code.CONFLICT, "declined"))


@contextmanager
def provider() -> Iterator[Any]:
    """A real HTTP server that charges once per idempotency key, and can be told to lose its answers."""

    class Provider(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            key = self.headers["Idempotency-Key"]
            server: Any = self.server
            server.seen.append(key)
            server.charged.setdefault(key, len(server.charged) + 1)
            if server.silent_answers:
                server.silent_answers -= 1
                server.released.wait(10)
                self.close_connection = True
                return
            body = str(server.charged[key]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.seen, server.charged, server.silent_answers = [], {}, 0
    server.released = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/charges"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def charging(url: str) -> Any:
    async def charge(attempt: Any) -> Succeeded:
        async with httpx.AsyncClient(timeout=None, verify=False) as client:
            answer = await client.post(url, headers={"Idempotency-Key": attempt.idempotency_key("charge")})
        return Succeeded({"charge": int(answer.text)})

    return charge


async def test_an_answer_lost_on_the_way_is_asked_for_again_with_the_same_key(rig: Rig):
    (command_id,) = await submit(rig.conn, Call())
    with provider() as server:
        server.silent_answers = 1
        runner = EffectRunner(effect_job(charging(server.url), lease_seconds=2.0))
        await run_due(rig, runner, seconds=0.1)
        row = await rig.pending(command_id)
        assert row["attempts"] == 1
        assert "no answer within" in row["error"]
        await due_now(rig)
        await run_due(rig, runner)
        assert server.seen == [f"{command_id}:charge:0"] * 2
        assert len(server.charged) == 1, "charged once"
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_no_transaction_is_open_while_the_effect_runs(rig: Rig):
    states = []

    async def look(_attempt: Any) -> Succeeded:
        states.append(
            await rig.conn.fetch(
                "SELECT state, query FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
            )
        )
        return Succeeded()

    await submit(rig.conn, Call())
    await run_due(rig, EffectRunner(effect_job(look)))
    assert states == [[]]


async def test_the_claim_is_committed_before_the_effect_runs(rig: Rig):
    rows = []

    async def look(attempt: Any) -> Succeeded:
        rows.append(await rig.pending(attempt.claimed.id))
        rows.append(await rig.conn.fetchval("SELECT extract(epoch FROM run_at - now()) FROM pending"))
        return Succeeded()

    await submit(rig.conn, Call())
    await run_due(rig, EffectRunner(effect_job(look, lease_seconds=20.0)))
    assert rows[0]["lease"] is not None
    assert rows[0]["attempts"] == 1, "counted before it is tried, so that a crash is"
    assert 15 < rows[1] <= 20, "due again by itself when the lease ends"


async def test_the_deadline_is_under_half_the_lease(rig: Rig):
    job = effect_job(None, lease_seconds=1.0)
    assert job.deadline_seconds < 0.5
    cancelled = []

    async def hang(attempt: Any) -> Succeeded:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(attempt.deadline_seconds)
            raise
        return Succeeded()

    (command_id,) = await submit(rig.conn, Call())
    started = asyncio.get_running_loop().time()
    await run_due(rig, EffectRunner(effect_job(hang, lease_seconds=1.0)), seconds=0.1)
    assert asyncio.get_running_loop().time() - started < 1.0, "the lease was still held"
    assert cancelled == [job.deadline_seconds]
    row = await rig.pending(command_id)
    assert (row["lease"], row["generation"]) == (None, 0)


@pytest.mark.parametrize("late", [Succeeded({"who": "late"}), refusal(), TryAgain("late", definite=True)])
async def test_a_holder_that_lost_its_lease_records_nothing(rig: Rig, late: Any):
    runner = EffectRunner(effect_job(None))
    (command_id,) = await submit(rig.conn, Call())
    slow, quick = new_id(), new_id()
    async with rig.pool.acquire() as conn:
        (held_by_slow,), _ = await runner.claim(conn, slow, 10)
        assert (await runner.claim(conn, quick, 10))[0] == [], "leased"
        await due_now(rig)
        (held_by_quick,), _ = await runner.claim(conn, quick, 10)
        before = await rig.pending(command_id)
        assert (await runner.record(conn, slow, [(held_by_slow, late)])).ended == []
        assert await rig.pending(command_id) == before
        assert (await runner.record(conn, quick, [(held_by_quick, Succeeded({"who": "quick"}))])).ended == [command_id]
        assert (await runner.record(conn, slow, [(held_by_slow, late)])).ended == []
    outcomes = await rig.conn.fetch("SELECT result ->> 'who' AS who FROM outcomes")
    assert [row["who"] for row in outcomes] == ["quick"]


async def test_the_key_is_id_step_generation_and_only_a_definite_answer_raises_it(rig: Rig):
    answers: list[Any] = [
        TryAgain("connection reset"),
        TryAgain("declined for now", definite=True),
        ConnectionError("lost"),
        TryAgain("declined again", definite=True),
        Succeeded(),
    ]
    keys = []

    async def act(attempt: Any) -> Any:
        keys.append((attempt.idempotency_key("charge"), attempt.idempotency_key("refund")))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    (command_id,) = await submit(rig.conn, Call())
    runner = EffectRunner(effect_job(act))
    while answers:
        await run_due(rig, runner)
        await due_now(rig)
    assert keys == [(f"{command_id}:charge:{n}", f"{command_id}:refund:{n}") for n in (0, 0, 1, 1, 2)]
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_past_the_providers_key_window_it_looks_before_acting_again(rig: Rig):
    looks = []

    async def act(attempt: Any) -> TryAgain:
        looks.append(attempt.is_past(3_600.0))
        return TryAgain("no answer", definite=len(looks) == 3)

    (command_id,) = await submit(rig.conn, Call())
    runner = EffectRunner(effect_job(act))
    for age in (0, 3_500, 3_700, 0):
        await rig.conn.execute(
            "UPDATE pending SET run_at = now(), first_tried_at = first_tried_at - make_interval(secs => $1)",
            float(age),
        )
        await run_due(rig, runner)
    assert looks == [False, False, True, False], "a definite answer starts a new key, with a window of its own"
    assert (await rig.pending(command_id))["generation"] == 1


async def test_a_slow_effect_keeps_none_that_comes_later_waiting(rig: Rig):
    begun, slow, done = asyncio.Event(), asyncio.Event(), list[UUID]()

    async def act(attempt: Any) -> Succeeded:
        if attempt.claimed.id == first:
            begun.set()
            await slow.wait()
        done.append(attempt.claimed.id)
        return Succeeded()

    (first,) = await submit(rig.conn, Call())
    bell, stopping = asyncio.Event(), asyncio.Event()

    async def heard() -> None:
        await bell.wait()
        bell.clear()

    async def ended(command_id: UUID) -> bool:
        return await rig.statuses([command_id]) == ["succeeded"]

    runner = EffectRunner(effect_job(act))
    drain = asyncio.ensure_future(
        effects.drain(runner, rig.pool, stopping=stopping, tell=lambda _report: None, heard=heard)
    )
    await begun.wait()
    (rung,) = await submit(rig.conn, Call())
    bell.set()
    await until(lambda: ended(rung))
    (unheard,) = await submit(rig.conn, Call())
    await until(lambda: ended(unheard))
    slow.set()
    await drain
    assert done == [rung, unheard, first]


async def test_a_retry_waits_longer_each_time_and_the_last_one_parks(rig: Rig):
    async def act(_attempt: Any) -> TryAgain:
        return TryAgain("busy")

    (command_id,) = await submit(rig.conn, Call())
    runner = EffectRunner(effect_job(act, attempts_max=3))
    waits = []
    for _ in range(2):
        assert await run_due(rig, runner) == []
        waits.append(await rig.conn.fetchval("SELECT extract(epoch FROM run_at - now())::float8 FROM pending"))
        await due_now(rig)
    assert await run_due(rig, runner) == [command_id]
    assert 0.3 < waits[0] <= 1
    assert 0.8 < waits[1] <= 2
    row = await rig.conn.fetchrow("SELECT attempts, error FROM parked")
    assert (row["attempts"], row["error"]) == (3, "busy")
    assert await rig.statuses([command_id]) == ["failed"]


async def test_the_provider_may_say_when_to_try_again(rig: Rig):
    async def act(_attempt: Any) -> TryAgain:
        return TryAgain("429", after_seconds=120.0)

    await submit(rig.conn, Call())
    await run_due(rig, EffectRunner(effect_job(act)))
    wait = await rig.conn.fetchval("SELECT extract(epoch FROM run_at - now()) FROM pending")
    assert 115 < wait <= 120


async def test_an_effect_that_dies_each_time_is_parked(rig: Rig):
    """The claim counts the try, so holders that die before they record anything are counted too."""
    tried = []

    async def act(_attempt: Any) -> Succeeded:
        tried.append(1)
        return Succeeded()

    (command_id,) = await submit(rig.conn, Call())
    runner = EffectRunner(effect_job(act, attempts_max=2))
    async with rig.pool.acquire() as conn:
        for _ in range(2):
            assert len((await runner.claim(conn, new_id(), 10))[0]) == 1
            await due_now(rig)
    await run_due(rig, runner)
    assert tried == []
    assert await rig.statuses([command_id]) == ["failed"]


async def test_one_effect_that_fails_or_hangs_does_not_hold_up_the_others(rig: Rig):
    async def act(attempt: Any) -> Any:
        match attempt.command.text:
            case "hang":
                await asyncio.Event().wait()
            case "raise":
                raise ZeroDivisionError
            case "refuse":
                return refusal()
        return Succeeded()

    texts = ("hang", "raise", "refuse", "a", "b")
    ids = await submit(rig.conn, *[Call(text) for text in texts])
    running = asyncio.ensure_future(run_due(rig, EffectRunner(effect_job(act, lease_seconds=6.0)), seconds=0.1))

    async def others_done() -> bool:
        return (await rig.statuses(ids))[2:] == ["rejected", "succeeded", "succeeded"]

    await until(others_done, 2.4)
    assert not running.done()
    await running
    assert await rig.statuses(ids[:2]) == ["pending", "pending"]


async def test_no_more_run_at_a_time_than_the_job_allows(rig: Rig):
    running = [0, 0]

    async def act(_attempt: Any) -> Succeeded:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.01)
        running[0] -= 1
        return Succeeded()

    ids = await submit(rig.conn, *[Call(str(n)) for n in range(12)])
    await run_due(rig, EffectRunner(effect_job(act, concurrency=3)))
    assert running[1] == 3
    assert await rig.statuses(ids) == ["succeeded"] * 12


async def test_effects_about_one_thing_go_one_after_the_other(rig: Rig):
    thing, order = uuid4(), []

    async def act(attempt: Any) -> Succeeded:
        order.append(("begin", attempt.command.text))
        await asyncio.sleep(0.02)
        order.append(("end", attempt.command.text))
        return Succeeded()

    ids = []
    for text in "abc":
        ids += await submit(rig.conn, Call(text, thing))
        await asyncio.sleep(0.002)
    runner = EffectRunner(effect_job(act))
    while "pending" in await rig.statuses(ids):
        await run_due(rig, runner)
    assert order == [(what, text) for text in "abc" for what in ("begin", "end")]


async def test_an_effect_that_has_its_outcome_is_not_run_again(rig: Rig):
    ran = []

    async def act(_attempt: Any) -> Succeeded:
        ran.append(1)
        return Succeeded()

    (command_id,) = await submit(rig.conn, Call())
    await rig.conn.execute("INSERT INTO outcomes (id, status) VALUES ($1, 'succeeded')", command_id)
    await run_due(rig, EffectRunner(effect_job(act)))
    assert ran == []
    assert await rig.pending(command_id) is None


async def test_a_payload_that_does_not_decode_is_parked_alone(rig: Rig):
    async def act(_attempt: Any) -> Succeeded:
        return Succeeded()

    ids = await submit(rig.conn, Call("a"), Call("b"))
    await rig.conn.execute("UPDATE commands SET payload = '{\"text\": 1}' WHERE id = $1", ids[0])
    await run_due(rig, EffectRunner(effect_job(act)))
    assert await rig.statuses(ids) == ["failed", "succeeded"]


async def test_a_provider_nobody_listens_at_costs_a_try_and_parks_nothing(rig: Rig):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    (command_id,) = await submit(rig.conn, Call())
    await run_due(rig, EffectRunner(effect_job(charging(url))))
    row = await rig.pending(command_id)
    assert (row["attempts"], row["generation"], row["lease"]) == (1, 0, None)
    assert "ConnectError" in row["error"]
