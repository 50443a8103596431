"""Buckets: so many at once, then one at a time, over all processes; the same in this process when Redis is gone."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import buckets as module
from infra.buckets import Bucket, Buckets, Policy
from infra.scripts import Scripts
from ops.stack import EmbeddedStack
from tests.infra.limits import NOWHERE, Clock, closed, scripts_on

TEN = Policy("ten", 10, 60)
pytestmark = pytest.mark.anyio
_keys = itertools.count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["on Redis", "without Redis"])
async def scripts(request: pytest.FixtureRequest, redis_url: str, clock: Clock) -> AsyncIterator[Scripts]:
    made = scripts_on(redis_url if request.param == "on Redis" else NOWHERE, clock)
    yield made
    await made.close()


async def test_ten_a_minute_are_ten_at_once_and_then_one_each_six_seconds(scripts: Scripts, clock: Clock):
    buckets, bucket = Buckets(scripts), [Bucket("a", TEN)]
    taken = [await buckets.take(bucket) for _ in range(11)]
    assert [verdict.allowed for verdict in taken] == [True] * 10 + [False]
    assert [verdict.remaining for verdict in taken] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert {verdict.reset_seconds for verdict in taken} == {6}
    assert taken[0].retry_after_seconds == 0
    assert taken[-1].retry_after_seconds == 6
    clock.pass_seconds(5.999)
    early = await buckets.take(bucket)
    assert (early.allowed, early.retry_after_seconds) == (False, 1)
    clock.pass_seconds(0.001)
    assert (await buckets.take(bucket)).allowed
    assert not (await buckets.take(bucket)).allowed


async def test_waiting_as_long_as_was_said_lets_one_through(scripts: Scripts, clock: Clock):
    buckets, bucket = Buckets(scripts), [Bucket("a", Policy("seven", 7, 60))]
    for _ in range(30):
        verdict = await buckets.take(bucket)
        if not verdict.allowed:
            clock.pass_seconds(verdict.retry_after_seconds)
            assert (await buckets.take(bucket)).allowed


async def test_a_bucket_left_alone_is_full_again(scripts: Scripts, clock: Clock):
    buckets, bucket = Buckets(scripts), [Bucket("a", TEN)]
    for _ in range(10):
        await buckets.take(bucket)
    clock.pass_seconds(60)
    assert (await buckets.take(bucket)).remaining == 9


async def test_when_one_of_two_refuses_the_other_gives_nothing(scripts: Scripts):
    buckets = Buckets(scripts)
    wide, narrow = Bucket("wide", TEN), Bucket("narrow", Policy("one", 1, 60))
    assert (await buckets.take([wide, narrow])).allowed
    refused = await buckets.take([wide, narrow])
    assert (refused.allowed, refused.policy.name, refused.retry_after_seconds) == (False, "one", 60)
    assert (await buckets.take([wide])).remaining == 8


async def test_of_two_that_refuse_the_one_to_wait_longest_for_is_named(scripts: Scripts):
    buckets = Buckets(scripts)
    both = [Bucket("a", Policy("minute", 1, 60)), Bucket("b", Policy("hour", 1, 3600))]
    await buckets.take(both)
    assert (await buckets.take(both)).policy.name == "hour"


async def test_a_limit_that_was_lowered_holds_at_once(scripts: Scripts):
    buckets = Buckets(scripts)
    for _ in range(10):
        await buckets.take([Bucket("a", TEN)])
    refused = await buckets.take([Bucket("a", Policy("ten", 5, 30))])
    assert (refused.allowed, refused.remaining, refused.retry_after_seconds) == (False, 0, 36)


async def test_two_processes_draw_on_one_bucket(redis_url: str):
    both = [scripts_on(redis_url) for _ in range(2)]
    processes = [Buckets(scripts) for scripts in both]
    # Each by the server's own time, all at once.
    verdicts = await asyncio.gather(*(processes[n % 2].take([Bucket("a", TEN)]) for n in range(30)))
    assert sum(verdict.allowed for verdict in verdicts) == 10
    await closed(*both)


async def test_without_redis_the_buckets_of_a_process_are_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REMEMBERED_MAX", 3)
    scripts = scripts_on(NOWHERE, clock)
    buckets = Buckets(scripts)
    for key in "abcd":
        await buckets.take([Bucket(key, TEN)])
    assert (await buckets.take([Bucket("a", TEN)])).remaining == 9
    assert (await buckets.take([Bucket("d", TEN)])).remaining == 8
    await closed(scripts)


async def test_keys_go_by_themselves(redis_url: str):
    scripts = scripts_on(redis_url)
    await Buckets(scripts).take([Bucket("a", TEN)])
    assert 5_000 < await scripts._client.pttl("a") <= 6_000
    await closed(scripts)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 90),
    st.lists(st.tuples(st.integers(0, 20_000_000), st.sampled_from(["a", "b", "ab"])), max_size=40),
)
def test_redis_and_a_process_alone_decide_alike(
    stack_redis_url: str, limit: int, window: int, steps: list[tuple[int, str]]
):
    async def run() -> None:
        clock = Clock()
        both = [scripts_on(stack_redis_url, clock), scripts_on(NOWHERE, clock)]
        shared, alone = (Buckets(scripts) for scripts in both)
        number = next(_keys)
        policies = {"a": Policy("a", limit, window), "b": Policy("b", 5, 30)}
        for microseconds, which in steps:
            clock.now += microseconds
            wanted = [Bucket(f"alike:{number}:{name}", policies[name]) for name in which]
            assert await shared.take(wanted) == await alone.take(wanted)
        await closed(*both)

    asyncio.run(run())


@pytest.fixture(scope="module")
def stack_redis_url(stack: EmbeddedStack) -> str:
    return str(stack.urls.redis_url)
