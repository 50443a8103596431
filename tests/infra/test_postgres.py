"""What an error of PostgreSQL means, and the limits every transaction runs under."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from infra import postgres
from infra.postgres import Failure, classify
from infra.settings import Settings

pytestmark = pytest.mark.anyio

INFRASTRUCTURE = ("08000", "08006", "40001", "40P01", "53300", "53100", "55P03", "57014", "57P01", "57P03", "58030")
DATA = ("22P05", "22003", "23505", "23514", "23503", "25006", "2F003", "42601", "42P01", "P0001", "XX000")


@pytest.mark.parametrize("state", [*INFRASTRUCTURE, "25P03", "25P04"])
def test_what_may_succeed_next_time_is_infrastructure(state: str):
    assert classify(asyncpg.PostgresError.new({"C": state, "M": "x"})) is Failure.INFRASTRUCTURE


@pytest.mark.parametrize("state", DATA)
def test_what_fails_again_is_data(state: str):
    assert classify(asyncpg.PostgresError.new({"C": state, "M": "x", "n": "a_constraint"})) is Failure.DATA


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(), Failure.INFRASTRUCTURE),
        (FileNotFoundError("no socket"), Failure.INFRASTRUCTURE),
        (TimeoutError(), Failure.INFRASTRUCTURE),
        (asyncpg.InterfaceError("connection is closed"), Failure.INFRASTRUCTURE),
        (asyncpg.DataError("invalid input for query argument"), Failure.DATA),
        (ValueError("ours"), Failure.DATA),
        (KeyError("ours"), Failure.DATA),
    ],
)
def test_other_errors_are_told_apart_too(error: Exception, failure: Failure):
    assert classify(error) is failure


async def test_the_limits_are_in_force_inside_a_transaction_and_not_after_it(conn: Any):
    names = ("transaction_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    outside = {name: await conn.fetchval(f"SHOW {name}") for name in names}
    async with postgres.transaction(conn):
        inside = {name: await conn.fetchval(f"SHOW {name}") for name in names}
    assert inside == {
        "transaction_timeout": "10s",
        "idle_in_transaction_session_timeout": "2s",
        "lock_timeout": "3s",
    }
    assert {name: await conn.fetchval(f"SHOW {name}") for name in names} == outside
    assert outside != inside


async def test_a_transaction_that_raises_is_rolled_back(conn: Any):
    await conn.execute("CREATE TEMPORARY TABLE kept (n int)")
    with pytest.raises(ZeroDivisionError):
        async with postgres.transaction(conn):
            await conn.execute("INSERT INTO kept VALUES (1)")
            raise ZeroDivisionError
    assert await conn.fetchval("SELECT count(*) FROM kept") == 0


async def test_a_transaction_left_idle_is_ended_by_the_server(conn: Any):
    ended = asyncio.Event()
    conn.add_termination_listener(lambda _conn: ended.set())
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
        async with postgres.transaction(conn):
            await asyncio.wait_for(ended.wait(), 5)
            await conn.fetchval("SELECT 1")
    assert classify(caught.value) is Failure.INFRASTRUCTURE


async def test_a_pool_opens_connections_as_they_are_needed_and_names_them(settings: Settings, conn: Any):
    count = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'ordermill-test' AND datname = current_database()"
    )
    pool = await postgres.create_pool(settings, size=3, name="test")
    try:
        assert await conn.fetchval(count) == 0
        async with pool.acquire() as one, pool.acquire() as two:
            assert await conn.fetchval(count) == 2
            assert (await one.fetchval("SHOW jit"), await two.fetchval("SHOW jit")) == ("off", "off")
    finally:
        await pool.close()


async def test_a_pool_can_be_made_while_postgresql_is_away(settings: Settings):
    away = msgspec.structs.replace(settings, database_url="postgresql://127.0.0.1:1/x")
    pool = await postgres.create_pool(away, size=2, name="test")
    with pytest.raises(OSError, match=r"connect|refused|failed"):
        await pool.acquire()
    await pool.close()
