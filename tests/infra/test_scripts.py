"""Scripts: answered within 200 ms or not at all; a Redis that is gone costs a try a second."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from infra.scripts import ANSWER_SECONDS_MAX, Script, Scripts, Unanswered
from tests.infra.limits import Clock, closed, scripts_on

NOW = Script("return now")
pytestmark = pytest.mark.anyio


async def test_the_time_is_the_servers_own_unless_a_clock_is_handed_in(redis_url: str):
    scripts, handed = scripts_on(redis_url), scripts_on(redis_url, Clock())
    assert abs(await scripts.run(NOW, [], []) / 1e6 - time.time()) < 60
    assert await handed.run(NOW, [], []) == Clock().now == handed.now()
    await closed(scripts, handed)


async def test_a_server_that_forgot_a_script_is_given_it_again(redis_url: str):
    scripts = scripts_on(redis_url)
    for _ in range(2):
        assert await scripts.run(NOW, [], [])
        await scripts._client.script_flush()
    await closed(scripts)


class Mute:
    """A server that hears and never answers."""

    def __init__(self) -> None:
        self.heard = 0
        self.silence = asyncio.Event()

    async def meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += 1
        await self.silence.wait()
        writer.close()


@asynccontextmanager
async def mute_server(folder: Path) -> AsyncIterator[tuple[Mute, str]]:
    mute, path = Mute(), folder / "mute.sock"
    server = await asyncio.start_unix_server(mute.meet, path)
    try:
        yield mute, f"unix://{path}"
    finally:
        mute.silence.set()
        server.close()
        await server.wait_closed()


async def test_a_redis_that_does_not_answer_costs_three_waits_and_then_a_try_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with mute_server(tmp_path) as (mute, url):
        scripts = Scripts(url)
        with capture_logs() as logs:
            for _ in range(3):
                started = time.monotonic()
                with pytest.raises(Unanswered):
                    await scripts.run(NOW, [], [])
                assert time.monotonic() - started < ANSWER_SECONDS_MAX + 2
            for _ in range(1_000):
                with pytest.raises(Unanswered, match="silent"):
                    await scripts.run(NOW, [], [])
            assert mute.heard == 3
            # A second later one of many tries again.
            monkeypatch.setattr(scripts, "_silent_until", 0.0)
            tried = await asyncio.gather(*(scripts.run(NOW, [], []) for _ in range(50)), return_exceptions=True)
        assert {type(each) for each in tried} == {Unanswered}
        assert mute.heard == 4
        assert [line["event"] for line in logs] == ["redis_silent"], "an outage is told once"
        await scripts.close()


async def test_when_redis_is_back_scripts_run_again(redis_url: str, monkeypatch: pytest.MonkeyPatch):
    scripts = scripts_on(redis_url)

    async def refuse(*_args: object) -> None:
        raise ConnectionError("gone")

    with capture_logs() as logs:
        with monkeypatch.context() as broken:
            broken.setattr(scripts, "_send", refuse)
            for _ in range(5):
                with pytest.raises(Unanswered):
                    await scripts.run(NOW, [], [])
        # A second later.
        monkeypatch.setattr(scripts, "_silent_until", 0.0)
        assert await scripts.run(NOW, [], [])
        assert await scripts.run(NOW, [], [])
    assert [line["event"] for line in logs] == ["redis_silent", "redis_answers"]
    await closed(scripts)


async def test_an_error_of_a_script_is_no_answer_and_is_told(redis_url: str):
    scripts = scripts_on(redis_url)
    with capture_logs() as logs, pytest.raises(Unanswered):
        await scripts.run(Script("return redis.call('NOSUCH')"), [], [])
    assert "Unknown command" in logs[0]["error"]
    await closed(scripts)
