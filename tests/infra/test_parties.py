"""Outside parties: what is sent to one that is away, and what whoever asks is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from infra import parties
from infra.parties import Bounds, OutOfReachError, Party, PartyBusyError, PartyOpenError
from tests.engine.parts import until

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(seconds=1.0, concurrency=2, failures=3, open_seconds=0.2)


class AwayError(Exception):
    """No answer."""


class DeclinedError(Exception):
    """An answer."""


def a_party(**changes: Any) -> Party:
    bounds = msgspec.structs.replace(BOUNDS, **changes)
    return Party("acme", bounds, lambda error: isinstance(error, AwayError | TimeoutError))


class Calls:
    """What was sent, and how it ends."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.made = 0
        self.under_way = 0
        self.under_way_max = 0
        self.ends: Callable[[], Awaitable[str]] = _answer

    async def _call(self, _seconds: float) -> str:
        self.made += 1
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            return await self.ends()
        finally:
            self.under_way -= 1

    async def one(self, seconds: float = 1.0) -> str:
        """Make one; how it went."""
        try:
            return await self.party.run(self._call, seconds)
        except Exception as error:  # noqa: BLE001 - whatever came of it
            return type(error).__name__


async def _answer() -> str:
    return "ok"


async def _away() -> str:
    raise AwayError("connection refused")


async def _declined() -> str:
    raise DeclinedError


async def _never() -> str:
    await asyncio.Event().wait()
    return ""


async def closes(calls: Calls) -> None:
    async def tried() -> bool:
        return await calls.one() == "ok"

    await until(tried)
    assert not calls.party.is_open


async def opened(**changes: Any) -> Calls:
    """A party that has just been found to be away."""
    calls = Calls(a_party(**changes))
    calls.ends = _away
    assert [await calls.one() for _ in range(3)] == ["AwayError"] * 3
    return calls


async def test_failures_in_a_row_open_it_and_then_nothing_is_sent():
    calls = await opened()
    assert calls.party.is_open
    assert [await calls.one() for _ in range(5)] == ["PartyOpenError"] * 5
    assert calls.made == 3


async def test_whoever_asks_is_told_why_and_when_to_ask_again():
    calls = await opened(open_seconds=60.0)
    with pytest.raises(PartyOpenError, match="the breaker of acme is open: connection refused") as told:
        await calls.party.run(calls._call, 1.0)
    assert 55 < told.value.after_seconds <= 60


async def test_an_answer_in_between_begins_the_count_anew():
    calls = Calls(a_party())
    for _ in range(5):
        calls.ends = _away
        await calls.one()
        await calls.one()
        calls.ends = _answer
        assert await calls.one() == "ok"
    assert not calls.party.is_open


async def test_a_refusal_is_an_answer():
    calls = Calls(a_party())
    calls.ends = _declined
    assert [await calls.one() for _ in range(20)] == ["DeclinedError"] * 20
    assert not calls.party.is_open


async def test_after_its_time_one_call_tries_and_closes_it():
    calls = await opened()
    calls.ends = _answer
    await closes(calls)
    assert [await calls.one() for _ in range(5)] == ["ok"] * 5


async def test_after_its_time_one_call_tries_and_opens_it_again():
    calls = await opened()

    async def tried() -> bool:
        return await calls.one() == "AwayError"

    await until(tried)
    assert calls.made == 4
    assert [await calls.one() for _ in range(5)] == ["PartyOpenError"] * 5
    assert calls.made == 4


async def test_only_one_call_tries_however_many_ask():
    calls = await opened(concurrency=10)
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "ok"

    calls.ends = slow
    await asyncio.sleep(BOUNDS.open_seconds)
    asked = [asyncio.create_task(calls.one(5.0)) for _ in range(10)]
    await until(lambda: _true(sum(task.done() for task in asked) == 9))
    assert calls.made == 4
    release.set()
    assert sorted([await task for task in asked]) == ["PartyOpenError"] * 9 + ["ok"]
    assert not calls.party.is_open


async def _true(value: bool) -> bool:
    return value


async def test_a_call_that_hangs_is_ended_in_time_and_counts():
    calls = Calls(a_party(seconds=0.05))
    calls.ends = _never
    assert [await calls.one() for _ in range(3)] == ["TimeoutError"] * 3
    assert calls.party.is_open
    assert calls.under_way == 0


async def test_no_more_calls_than_slots_and_who_waits_too_long_is_told():
    calls = Calls(a_party(concurrency=2, seconds=10.0))
    calls.ends = _never
    asked = [asyncio.create_task(calls.one(10.0)) for _ in range(2)]
    await until(lambda: _true(calls.under_way == 2))
    with pytest.raises(PartyBusyError, match="2 calls to acme are under way") as told:
        await calls.party.run(calls._call, 0.1)
    assert told.value.after_seconds == parties.AGAIN_SECONDS
    assert isinstance(told.value, OutOfReachError)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert calls.under_way_max == 2


async def test_slots_are_given_back():
    calls = Calls(a_party(concurrency=2))

    async def short() -> str:
        await asyncio.sleep(0.001)
        return "ok"

    calls.ends = short
    assert await asyncio.gather(*(calls.one(5.0) for _ in range(50))) == ["ok"] * 50
    assert calls.under_way_max == 2


async def test_a_call_that_began_before_and_fails_after_keeps_it_open_longer():
    calls = Calls(a_party(concurrency=5))
    fail = asyncio.Event()

    async def late() -> str:
        await fail.wait()
        raise AwayError("late")

    calls.ends = late
    waiting = asyncio.create_task(calls.one(5.0))
    await until(lambda: _true(calls.under_way == 1))
    calls.ends = _away
    for _ in range(3):
        await calls.one()
    assert calls.party.is_open
    fail.set()
    assert await waiting == "AwayError"
    assert calls.party.is_open
    calls.ends = _answer
    await closes(calls)


async def test_that_it_opens_and_closes_is_logged_once_each():
    with capture_logs() as lines:
        calls = await opened()
        calls.ends = _answer
        await closes(calls)
    told = [(line["event"], line["log_level"]) for line in lines]
    assert told == [("breaker_open", "warning"), ("breaker_closed", "info")]
    assert (lines[0]["party"], lines[0]["error"], lines[0]["seconds"]) == ("acme", "connection refused", 0.2)
