"""Accept: requests that arrive together are written together, each key once, whatever happens meanwhile."""

import asyncio
import os
import signal
import socket
import time
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from api import accept as accept_module
from api.accept import Accept
from api.context import Edge
from api.problems import ProblemError
from domain.journal.model import NewCommand
from infra import postgres
from infra.clock import new_id
from tests.builders import new
from tests.engine.accepting import Spying, accepting
from tests.engine.parts import Note, Rig, until, until_blocked

pytestmark = pytest.mark.anyio

ALICE, BOB = uuid4(), uuid4()


def keyed(key: str, text: str = "", *, principal: UUID = ALICE, size: int = 1) -> NewCommand:
    """A command that came with an Idempotency-Key."""
    made = new(Note(text, size), principal=principal)
    return msgspec.structs.replace(
        made, key_hash=key.encode().ljust(16, b"\0"), fingerprint=text.encode().ljust(16, b"\0")
    )


async def count(rig: Rig, table: str = "commands") -> int:
    return int(await rig.conn.fetchval(f"SELECT count(*) FROM {table}"))


def problem(error: BaseException) -> tuple[int, str]:
    assert isinstance(error, ProblemError), error
    return error.rejection.status, error.rejection.code.value


async def test_requests_that_arrive_together_are_written_by_one_statement(rig: Rig):
    spying = Spying(rig.pool)
    async with accepting(spying) as accept:
        answers = await asyncio.gather(*[accept.submit(new(Note(str(n)))) for n in range(50)])
    assert len(spying.statements) == 1
    assert {a.id for a in answers} == {row["id"] for row in await rig.conn.fetch("SELECT id FROM pending")}
    assert accept.rung == [{("test_notes", "orders")}]


async def test_a_worker_is_woken_ahead_for_one_command_alone(rig: Rig):
    job = {("test_notes", "orders")}
    async with accepting(rig.pool) as accept:
        await accept.submit(new(Note("a")))
        assert accept.rung == [job, job], "while it is written, and when it is"
        accept.rung.clear()
        await asyncio.gather(*[accept.submit(new(Note(str(n)))) for n in range(2)])
        assert accept.rung == [job], "under load workers are awake"


async def test_the_answer_comes_after_the_row_is_durable(rig: Rig):
    held = rig.pool.acquire()
    async with accepting(rig.pool) as accept:
        lock = await held
        try:
            await lock.execute("BEGIN; LOCK TABLE pending IN EXCLUSIVE MODE")
            answer = asyncio.ensure_future(accept.submit(new(Note("a"))))
            await until_blocked(rig.conn, "INSERT INTO pending")
            assert not answer.done()
            assert len(accept.rung) == 1, "only the bell that wakes a worker ahead"
            await lock.execute("ROLLBACK")
        finally:
            await rig.pool.release(lock)
        accepted = await asyncio.wait_for(answer, 5)
        assert await rig.statuses([accepted.id]) == ["pending"]
        assert len(accept.rung) == 2, "the bell that counts comes after the commit"


async def test_a_key_twice_in_one_group_is_one_command(rig: Rig):
    async with accepting(rig.pool) as accept:
        answers = await asyncio.gather(*[accept.submit(keyed("k", "same")) for _ in range(5)])
    assert len({a.id for a in answers}) == 1
    assert [a.replayed for a in answers] == [False, True, True, True, True]
    assert await count(rig) == await count(rig, "pending") == await count(rig, "idempotency") == 1


async def test_a_key_is_its_principals_own(rig: Rig):
    async with accepting(rig.pool) as accept:
        answers = await asyncio.gather(accept.submit(keyed("k", "x")), accept.submit(keyed("k", "x", principal=BOB)))
    assert [a.replayed for a in answers] == [False, False]
    assert await count(rig) == 2


async def test_the_same_key_50_times_at_once_over_two_processes_is_one_command(rig: Rig):
    other = await postgres.create_pool(rig.settings, size=4, name="other")
    try:
        async with accepting(rig.pool, group_max=3) as one, accepting(other, group_max=3) as two:
            answers = await asyncio.gather(
                *[(one if n % 2 else two).submit(keyed("k", "same", principal=ALICE)) for n in range(50)]
            )
    finally:
        other.terminate()
    assert len({a.id for a in answers}) == 1
    assert sum(not a.replayed for a in answers) == 1
    assert await count(rig) == await count(rig, "pending") == 1


async def test_a_key_that_another_process_commits_meanwhile_is_read_back(rig: Rig):
    """The insert waits for the other's commit, and a second statement sees it; the same one wouldn't."""
    first, second = keyed("k", "same"), keyed("k", "same")
    async with accepting(rig.pool) as accept, rig.pool.acquire() as other:
        await other.execute("BEGIN")
        await other.execute(
            "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint) VALUES ($1, $2, $3, $4)",
            ALICE,
            first.key_hash,
            first.id,
            first.fingerprint,
        )
        answer = asyncio.ensure_future(accept.submit(second))
        await until_blocked(rig.conn, "INSERT INTO idempotency")
        await other.execute("COMMIT")
        accepted = await asyncio.wait_for(answer, 5)
    assert (accepted.id, accepted.replayed) == (first.id, True)


async def test_a_key_with_another_request_is_refused(rig: Rig):
    async with accepting(rig.pool) as accept:
        await accept.submit(keyed("k", "one"))
        with pytest.raises(ProblemError) as refused:
            await accept.submit(keyed("k", "another"))
        together = await asyncio.gather(
            accept.submit(keyed("m", "one")), accept.submit(keyed("m", "two")), return_exceptions=True
        )
    assert problem(refused.value) == (422, "idempotency_key_reused")
    assert together[0].replayed is False
    assert problem(together[1]) == (422, "idempotency_key_reused")
    assert await count(rig) == 2


async def test_keys_are_inserted_in_the_order_of_principal_and_key(rig: Rig):
    """Or two processes that insert the same keys in different orders wait for each other in a circle."""
    keys = [keyed(f"{n:02}", "x") for n in range(20)]
    async with rig.pool.acquire() as other, accepting(rig.pool) as accept:
        await other.execute("BEGIN")
        await other.execute(
            "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint) VALUES ($1, $2, $3, $2)",
            ALICE,
            keys[0].key_hash,
            new_id(),
        )
        answers = asyncio.gather(*[accept.submit(command) for command in reversed(keys)], return_exceptions=True)
        await until_blocked(rig.conn, "INSERT INTO idempotency")
        # Blocked at the first key, it holds none of those after it: this would wait otherwise.
        await other.execute("SET LOCAL lock_timeout = '500ms'")
        await other.execute(
            "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint) VALUES ($1, $2, $3, $2)",
            ALICE,
            keys[-1].key_hash,
            new_id(),
        )
        await other.execute("ROLLBACK")
        assert not [a for a in await answers if isinstance(a, BaseException)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_lost_around_the_commit_accepts_once(rig: Rig, when: str):
    spying = Spying(rig.pool)
    killed = []

    async def kill(conn: Any, query: str) -> None:
        if "INSERT INTO commands" in query and not killed:
            pid = conn.get_server_pid()
            killed.append(pid)
            await rig.conn.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            if when == "after":
                raise ConnectionResetError("the answer to the commit never came")

    setattr(spying, when, kill)
    commands = [keyed(str(n), str(n)) if n % 2 else new(Note(str(n))) for n in range(10)]
    async with accepting(spying) as accept:
        answers = await asyncio.gather(*[accept.submit(command) for command in commands])
    assert killed
    assert [a.id for a in answers] == [c.id for c in commands]
    assert not any(a.replayed for a in answers), "its own first try is not somebody else's"
    assert await count(rig) == await count(rig, "pending") == 10


async def test_a_repeated_insert_does_not_queue_a_finished_command_again(rig: Rig):
    spying = Spying(rig.pool)
    command = keyed("k", "x")

    async def run_it_and_lose_the_connection(_conn: Any, query: str) -> None:
        if "INSERT INTO commands" in query:
            spying.after = None
            await rig.conn.execute("DELETE FROM pending")
            await rig.conn.execute("INSERT INTO outcomes (id, status) VALUES ($1, 'succeeded')", command.id)
            raise ConnectionResetError

    spying.after = run_it_and_lose_the_connection
    async with accepting(spying) as accept:
        accepted = await accept.submit(command)
    assert accepted.id == command.id
    assert await rig.statuses([command.id]) == ["succeeded"]
    assert await count(rig, "pending") == 0


@pytest.mark.parametrize("bad_ones", [{0}, {7}, {15}, {2, 3, 11}])
async def test_one_bad_request_of_a_group_fails_alone(rig: Rig, bad_ones: set[int]):
    commands = [keyed(str(n), str(n)) for n in range(16)]
    # A NUL character is valid in JSON and refused by PostgreSQL's text; weight 0 by a CHECK.
    for n in bad_ones:
        commands[n] = msgspec.structs.replace(commands[n], correlation="\0") if n % 2 else keyed(str(n), "x", size=0)
    async with accepting(rig.pool) as accept:
        answers = await asyncio.gather(*[accept.submit(c) for c in commands], return_exceptions=True)
    for n, answer in enumerate(answers):
        if n in bad_ones:
            assert problem(answer) == (400, "invalid_request")
        else:
            assert answer.id == commands[n].id
    assert await count(rig) == await count(rig, "pending") == await count(rig, "idempotency") == 16 - len(bad_ones)


async def test_a_deadlock_is_retried(rig: Rig):
    await rig.conn.execute("CREATE SEQUENCE tries")
    await rig.conn.execute(
        "CREATE FUNCTION deadlock_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('tries') = 1 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = 'deadlock_detected'; END IF;"
        " RETURN NEW; END $$; CREATE TRIGGER deadlock_once BEFORE INSERT ON pending"
        " FOR EACH STATEMENT EXECUTE FUNCTION deadlock_once()"
    )
    try:
        async with accepting(rig.pool) as accept:
            answers = await asyncio.gather(*[accept.submit(new(Note(str(n)))) for n in range(5)])
        assert await rig.statuses([a.id for a in answers]) == ["pending"] * 5
        assert await rig.conn.fetchval("SELECT last_value FROM tries") == 2
    finally:
        await rig.conn.execute(
            "DROP TRIGGER deadlock_once ON pending; DROP FUNCTION deadlock_once; DROP SEQUENCE tries"
        )


async def test_a_full_buffer_answers_503_at_once(rig: Rig):
    async with accepting(rig.pool, buffer_max=3) as accept:
        async with rig.pool.acquire() as lock:
            await lock.execute("BEGIN; LOCK TABLE pending IN EXCLUSIVE MODE")
            waiting = []
            # As many groups as may be are in flight and wait for the lock: then the buffer fills.
            for _ in range(accept_module.GROUPS_IN_FLIGHT):
                waiting.append(asyncio.ensure_future(accept.submit(new(Note("in flight")))))
                await asyncio.sleep(0.05)
            waiting += [asyncio.ensure_future(accept.submit(new(Note("buffered")))) for _ in range(3)]
            await asyncio.sleep(0.05)
            with pytest.raises(ProblemError) as refused:
                await asyncio.wait_for(accept.submit(new(Note("one too many"))), 0.5)
            await lock.execute("ROLLBACK")
        assert problem(refused.value) == (503, "overloaded")
        assert refused.value.headers["Retry-After"]
        await asyncio.gather(*waiting)
    assert await count(rig) == accept_module.GROUPS_IN_FLIGHT + 3


async def test_a_request_that_went_away_disturbs_nobody(rig: Rig):
    async with accepting(rig.pool) as accept:
        async with rig.pool.acquire() as lock:
            await lock.execute("BEGIN; LOCK TABLE pending IN EXCLUSIVE MODE")
            gone, *others = [asyncio.ensure_future(accept.submit(new(Note(str(n))))) for n in range(4)]
            await until_blocked(rig.conn, "INSERT INTO pending")
            gone.cancel()
            await asyncio.sleep(0)
            await lock.execute("ROLLBACK")
        answers = await asyncio.gather(*others)
        assert await rig.statuses([a.id for a in answers]) == ["pending"] * 3
        assert await count(rig) == 4, "what was taken in is carried out, heard of or not"
        assert (await accept.submit(new(Note("next")))).replayed is False


async def test_the_death_of_the_loop_ends_the_process(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(accept_module.os, "kill", lambda pid, signum: killed.append((pid, signum)))
    accept: Any = Accept(rig.pool, buffer_max=10, group_max=10, ring=lambda _: None)
    accept._room = None
    accept.start()
    waiting = asyncio.ensure_future(accept.submit(new(Note())))

    async def dead() -> bool:
        return bool(killed)

    await until(dead, 5)
    assert killed == [(os.getpid(), signal.SIGTERM)]
    waiting.cancel()


async def test_a_write_that_dies_of_what_nobody_expected_ends_the_process(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    """Rather than leave its requests hanging."""
    killed: list[int] = []
    monkeypatch.setattr(accept_module.os, "kill", lambda _pid, signum: killed.append(signum))

    rung: list[Any] = []

    def broken(jobs: Any) -> None:
        rung.append(jobs)
        if len(rung) == 2:  # the one after the commit
            raise ZeroDivisionError

    accept: Any = Accept(rig.pool, buffer_max=10, group_max=10, ring=broken)
    accept.start()
    accepted = await asyncio.wait_for(accept.submit(new(Note())), 5)

    async def dead() -> bool:
        return bool(killed)

    await until(dead, 5)
    assert await rig.statuses([accepted.id]) == ["pending"]
    accept._loop_task.remove_done_callback(accept_module._die)
    await accept.stop()


async def test_overload_refuses_what_is_new_and_replays_known_keys(rig: Rig):
    async with accepting(rig.pool) as accept:
        known = await accept.submit(keyed("known", "x"))
        accept.overloaded = frozenset({"test_notes"})
        again = await accept.submit(keyed("known", "x"))
        assert (again.id, again.replayed) == (known.id, True)
        for command in (keyed("new", "y"), new(Note("y"))):
            with pytest.raises(ProblemError) as refused:
                await accept.submit(command)
            assert problem(refused.value) == (503, "overloaded")
        with pytest.raises(ProblemError) as refused:
            await accept.submit(keyed("known", "another request"))
        assert problem(refused.value) == (422, "idempotency_key_reused")
    assert await count(rig) == 1


async def test_a_journal_that_stays_away_is_answered_503(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accept_module, "WRITE_SECONDS_MAX", 0.3)
    spying = Spying(rig.pool)

    async def gone(_conn: Any, _query: str) -> None:
        raise ConnectionRefusedError

    spying.before = gone
    async with accepting(spying) as accept:
        with pytest.raises(ProblemError) as refused:
            await accept.submit(new(Note()))
    assert problem(refused.value) == (503, "unavailable")


async def test_accepting_never_waits_for_redis(rig: Rig):
    """Redis takes the connection and then says nothing, the worst it can do."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        edge = Edge(msgspec.structs.replace(rig.settings, redis_url=url))
        await edge.start()
        try:
            await edge.accept.submit(new(Note("first")))
            started = time.monotonic()
            for n in range(10):
                await edge.accept.submit(new(Note(str(n))))
            # One ring alone would take 200 ms.
            assert time.monotonic() - started < 0.2
        finally:
            await edge.stop()
