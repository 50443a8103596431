"""The limit of each client over all processes: decided by each alone, made good in rounds."""

import asyncio
import itertools
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from infra import pace as module
from infra.buckets import Policy
from infra.pace import FEW_DIVISOR, ROUND_SECONDS, Pace
from infra.scripts import Scripts
from ops.stack import EmbeddedStack
from tests.infra.limits import NOWHERE, SECOND, Clock, closed, names, scripts_on

RATE = 300
BURST = RATE
POLICY = Policy("principal", RATE, 1)
FEW = RATE // FEW_DIVISOR
ROUND = round(ROUND_SECONDS * SECOND)
pytestmark = pytest.mark.anyio
_clients = itertools.count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take(pace: Pace, times: int, client: str | int = "a") -> int:
    """Ask some times at once; return how often there was a unit."""
    return sum(pace.take(client) >= 0 for _ in range(times))


async def test_a_process_alone_gives_a_second_of_requests_at_once_and_then_the_rate(clock: Clock):
    scripts = scripts_on(NOWHERE, clock)
    pace = Pace(POLICY, scripts, names)
    assert [pace.take("a") for _ in range(301)] == [*range(299, -1, -1), -1]
    refused = pace.verdict("a", allowed=False)
    assert (refused.remaining, refused.retry_after_seconds) == (0, 1)
    clock.pass_seconds(0.5)
    assert take(pace, 1000) == RATE // 2
    clock.pass_seconds(60)
    assert take(pace, 1000) == BURST
    assert take(pace, 1, "b") == 1
    await closed(scripts)


async def test_rounds_take_nothing_from_a_client_of_one_process(redis_url: str, clock: Clock):
    """To the unit: with rounds it gets what it would get without."""
    scripts, nowhere = scripts_on(redis_url, clock), scripts_on(NOWHERE, clock)
    told, alone = Pace(POLICY, scripts, names), Pace(POLICY, nowhere, names)
    for wanted in [290, 5, 40, 0, 0, 29, 31, 30, 30, 400, 10, 0, 80, 30] * 3:
        clock.now += ROUND // 2
        assert [told.take("a") for _ in range(wanted)] == [alone.take("a") for _ in range(wanted)]
        clock.now += ROUND // 2
        await told.reconcile()
    await closed(scripts, nowhere)


async def test_what_one_process_gave_the_others_do_not_give_again(redis_url: str, clock: Clock):
    both = [scripts_on(redis_url, clock) for _ in range(2)]
    first, second = (Pace(POLICY, scripts, names) for scripts in both)
    assert take(first, 200) == 200
    await first.reconcile()
    assert take(second, 20) == 20
    await second.reconcile()
    assert take(second, 1000) == BURST - 220
    await closed(*both)


async def test_what_was_given_too_much_is_paid_back_before_anything_is_given(redis_url: str, clock: Clock):
    both = [scripts_on(redis_url, clock) for _ in range(2)]
    first, second = (Pace(POLICY, scripts, names) for scripts in both)
    # Neither knows of the other yet: a second's worth too much.
    assert take(first, 1000) + take(second, 1000) == 2 * BURST
    await second.reconcile()
    await first.reconcile()
    clock.pass_seconds(0.9)
    assert take(first, 1000) == 0
    assert first.verdict("a", allowed=False).retry_after_seconds == 1
    clock.pass_seconds(0.2)
    assert take(first, 1000) == 30
    await closed(*both)


async def test_few_in_a_second_are_not_told(redis_url: str, clock: Clock):
    scripts = scripts_on(redis_url, clock)
    pace = Pace(POLICY, scripts, names)
    client = scripts._client
    take(pace, FEW)
    await pace.reconcile()
    assert await client.dbsize() == 0
    clock.pass_seconds(1)
    await pace.reconcile()
    take(pace, FEW)
    await pace.reconcile()
    assert await client.dbsize() == 0, "a second later it is few again"
    take(pace, FEW + 1, "b")
    await pace.reconcile()
    assert await client.dbsize() == 1
    assert 1_000 < await client.pttl(pace._clients["b"].name) <= 1_040, "keys go by themselves"
    await closed(scripts)


async def test_what_redis_forgot_it_hears_again_from_who_knows(redis_url: str, clock: Clock):
    both = [scripts_on(redis_url, clock) for _ in range(2)]
    first, second = (Pace(POLICY, scripts, names) for scripts in both)
    assert take(first, 250) == 250
    await first.reconcile()
    await both[0]._client.flushall()
    assert take(first, 20) == 20
    await first.reconcile()
    assert take(second, 20) == 20
    await second.reconcile()
    assert take(second, 1000) == BURST - 290
    await closed(*both)


async def test_many_clients_are_told_of_in_several_calls(redis_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TELL_MAX", 3)
    both = [scripts_on(redis_url, clock) for _ in range(2)]
    first, second = (Pace(POLICY, scripts, names) for scripts in both)
    for number in range(10):
        take(first, 100 + number, number)
        take(second, 50, number)
    await first.reconcile()
    await second.reconcile()
    assert [take(second, 1000, number) for number in range(10)] == [BURST - 150 - number for number in range(10)]
    await closed(*both)


async def test_when_redis_does_not_answer_a_process_goes_on_alone(redis_url: str, clock: Clock):
    scripts, gone = scripts_on(redis_url, clock), Scripts(NOWHERE, clock=clock)
    pace = Pace(POLICY, gone, names)
    given = []
    for _ in range(20):
        given.append(take(pace, 1000))
        await pace.reconcile()
        clock.pass_seconds(0.1)
    assert given == [BURST] + [RATE // 10] * 19
    # What nobody heard is forgotten, so that nobody is owed it twice; what comes now is told.
    clock.pass_seconds(1)
    pace._scripts = scripts
    assert take(pace, 100) == 100
    await pace.reconcile()
    assert await scripts._client.dbsize() == 1
    await closed(scripts, gone)


async def test_a_process_knows_so_many_clients_and_tells_of_those_it_forgot(redis_url: str, clock: Clock):
    scripts = scripts_on(redis_url, clock)
    pace = Pace(POLICY, scripts, names, remembered_max=3)
    for client in "abcd":
        take(pace, 100, client)
    assert len(pace._clients) == 3
    assert take(pace, 1000, "d") == BURST - 100
    assert take(pace, 1000, "a") == BURST, "forgotten here"
    await pace.reconcile()
    ahead = await scripts._client.get(pace._clients["a"].name)
    assert int(ahead) - clock.now == 400 * POLICY.interval_us, "and told in full"
    await closed(scripts)


async def test_rounds_come_by_themselves(redis_url: str):
    scripts = scripts_on(redis_url)
    pace = Pace(POLICY, scripts, names)
    pace.start()
    take(pace, 100)
    deadline = time.monotonic() + 10
    while not await scripts._client.dbsize():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await pace.stop()
    await closed(scripts)


async def test_a_round_that_breaks_does_not_end_the_others(redis_url: str, monkeypatch: pytest.MonkeyPatch):
    scripts = scripts_on(redis_url)
    pace = Pace(POLICY, scripts, names)
    rounds: list[int] = []

    async def breaks() -> None:
        rounds.append(1)
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(pace, "reconcile", breaks)
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.001)
    with capture_logs() as logs:
        pace.start()
        deadline = time.monotonic() + 10
        while len(rounds) < 3:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        await pace.stop()
    assert {line["event"] for line in logs} == {"pace_round_failed"}
    await closed(scripts)


class Processes:
    """Some processes whose rounds come at their own times; one client's requests over all of them."""

    def __init__(self, redis_url: str, count: int) -> None:
        self.clock = Clock()
        self.client = next(_clients)
        self.scripts = [scripts_on(redis_url, self.clock) for _ in range(count)]
        self.paces = [Pace(POLICY, scripts, names) for scripts in self.scripts]
        self._rounds = [self.clock.now + ROUND * (n + 1) // count for n in range(count)]
        self.given: list[tuple[int, int]] = []

    async def advance(self, microseconds: int) -> None:
        """Let time pass, with the rounds that come meanwhile."""
        until = self.clock.now + microseconds
        while min(self._rounds) <= until:
            which = self._rounds.index(min(self._rounds))
            self.clock.now = self._rounds[which]
            self._rounds[which] += ROUND
            await self.paces[which].reconcile()
        self.clock.now = until

    def press(self, which: int, times: int) -> None:
        self.given.append((self.clock.now, take(self.paces[which], times, self.client)))

    def worst(self, rate: float) -> float:
        """The most that was given over a rate, in any stretch of time."""
        starts: Sequence[int] = range(len(self.given))
        excess, most = 0.0, 0.0
        for number in starts:
            moment, given = self.given[number]
            # The best stretch that ends here begins where the excess was last nothing.
            passed = (moment - self.given[number - 1][0]) / SECOND if number else 0.0
            excess = max(0.0, excess - passed * rate) + given
            most = max(most, excess)
        return most


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 3), st.sampled_from([1, 30, 150, 1000])), max_size=60),
)
def test_no_stretch_of_time_sees_more_than_the_stated_error(
    stack: EmbeddedStack, count: int, steps: list[tuple[int, int, int]]
):
    """The rate, and few for each process; once, for each, a second of it, a round of it and few (docs/decisions)."""

    async def run() -> None:
        processes = Processes(stack.urls.redis_url, count)
        for milliseconds, which, times in steps:
            await processes.advance(milliseconds * 1000)
            processes.press(which % count, times)
        assert processes.worst(RATE + count * FEW) <= count * (BURST + RATE * ROUND_SECONDS + FEW)
        await closed(*processes.scripts)

    asyncio.run(run())


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_a_client_that_keeps_pressing_gets_the_rate_whatever_it_presses_on(redis_url: str, count: int):
    processes = Processes(redis_url, count)
    for _ in range(1_200):
        await processes.advance(5_000)
        for which in range(count):
            processes.press(which, 10)
    begin = processes.clock.now - 3 * SECOND
    given = sum(given for moment, given in processes.given if moment > begin)
    # What one of several gives between two rounds the others owe afterwards.
    assert 3 * RATE - count * RATE * ROUND_SECONDS <= given <= 3 * RATE + count * RATE * ROUND_SECONDS
    await closed(*processes.scripts)
