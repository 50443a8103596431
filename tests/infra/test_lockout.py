"""Lock-out: who fails waits, and nobody else."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import lockout as module
from infra.lockout import KNOWN_MAX, KNOWN_SECONDS, OF_ACCOUNT, OF_PAIR, Lockout
from ops.stack import EmbeddedStack
from tests.infra.limits import NOWHERE, Clock, closed, names, scripts_on

OWNER, HOME, OFFICE = "owner@example.com", "192.0.2.1", "192.0.2.2"
ELSEWHERE = "203.0.113.1"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
pytestmark = pytest.mark.anyio
_numbers = itertools.count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["on Redis", "without Redis"])
async def lockout(request: pytest.FixtureRequest, redis_url: str, clock: Clock) -> AsyncIterator[Lockout]:
    scripts = scripts_on(redis_url if request.param == "on Redis" else NOWHERE, clock)
    yield Lockout(scripts, names)
    await scripts.close()


async def wait(lockout: Lockout, address: str, account: str = OWNER) -> int:
    return (await lockout.check(account, address)).wait_seconds


async def fail(lockout: Lockout, address: str, times: int, account: str = OWNER) -> None:
    """Fail some times, without a wait in between."""
    for _ in range(times):
        assert await wait(lockout, address, account) == 0
        await lockout.failed(account, address)


async def fail_from_everywhere(lockout: Lockout, times: int) -> None:
    """Fail so often from so many addresses that no pair has to wait."""
    for number in range(times):
        await fail(lockout, f"203.0.113.{number // (OF_PAIR.failures_max - 1)}", 1)


async def test_after_ten_failures_the_eleventh_try_waits_a_minute(lockout: Lockout, clock: Clock):
    await fail(lockout, ELSEWHERE, 10)
    assert await wait(lockout, ELSEWHERE) == MINUTE
    clock.pass_seconds(59.5)
    assert await wait(lockout, ELSEWHERE) == 1
    clock.pass_seconds(0.5)
    assert await wait(lockout, ELSEWHERE) == 0


async def test_each_further_failure_doubles_the_wait_up_to_an_hour(lockout: Lockout, clock: Clock):
    await fail(lockout, ELSEWHERE, 10)
    waits = []
    for _ in range(9):
        waits.append(await wait(lockout, ELSEWHERE))
        clock.pass_seconds(waits[-1])
        await fail(lockout, ELSEWHERE, 1)
    assert waits == [m * MINUTE for m in (1, 2, 4, 8, 16, 32, 60, 60, 60)]


async def test_failures_are_forgotten_a_quarter_of_an_hour_after_the_first(lockout: Lockout, clock: Clock):
    await fail(lockout, ELSEWHERE, 9)
    clock.pass_seconds(15 * MINUTE)
    await fail(lockout, ELSEWHERE, 9)
    assert await wait(lockout, ELSEWHERE) == 0


async def test_a_wait_is_forgotten_a_quarter_of_an_hour_after_its_end(lockout: Lockout, clock: Clock):
    await fail(lockout, ELSEWHERE, 10)
    clock.pass_seconds(16 * MINUTE)
    await fail(lockout, ELSEWHERE, 10)
    assert await wait(lockout, ELSEWHERE) == MINUTE


async def test_a_success_forgives_the_pair(lockout: Lockout):
    await fail(lockout, HOME, 9)
    await lockout.succeeded(OWNER, HOME)
    await fail(lockout, HOME, 10)
    assert await wait(lockout, HOME) == MINUTE


async def test_failures_elsewhere_do_not_lock_the_owner_out_at_a_known_address(lockout: Lockout):
    await lockout.succeeded(OWNER, HOME)
    await fail_from_everywhere(lockout, OF_ACCOUNT.failures_max)
    assert await wait(lockout, "198.51.100.1") == MINUTE
    at_home = await lockout.check(OWNER, HOME)
    assert (at_home.wait_seconds, at_home.known) == (0, True)


async def test_failures_at_a_known_address_count_for_that_address_alone(lockout: Lockout):
    await lockout.succeeded(OWNER, HOME)
    await lockout.succeeded(OWNER, OFFICE)
    await fail(lockout, HOME, 10)
    assert await wait(lockout, HOME) == MINUTE
    assert await wait(lockout, OFFICE) == 0
    await fail_from_everywhere(lockout, OF_ACCOUNT.failures_max - 1)
    assert await wait(lockout, "198.51.100.1") == 0


async def test_an_account_over_unknown_addresses_waits_twice_as_long_each_time(lockout: Lockout, clock: Clock):
    await fail_from_everywhere(lockout, OF_ACCOUNT.failures_max)
    for expected in (1, 2, 4):
        assert await wait(lockout, "198.51.100.1") == expected * MINUTE
        clock.pass_seconds(expected * MINUTE)
        await fail(lockout, "198.51.100.1", 1)


async def test_failures_of_an_account_are_forgotten_a_day_after_the_first(lockout: Lockout, clock: Clock):
    await fail_from_everywhere(lockout, OF_ACCOUNT.failures_max - 1)
    clock.pass_seconds(DAY)
    await fail(lockout, "198.51.100.1", 1)
    assert await wait(lockout, "198.51.100.2") == 0


async def test_who_waits_makes_no_other_account_wait(lockout: Lockout):
    await fail(lockout, ELSEWHERE, 10)
    assert await wait(lockout, ELSEWHERE, "somebody.else@example.com") == 0


async def test_after_a_wait_one_try_is_let_through_however_many_come(lockout: Lockout, clock: Clock):
    await fail(lockout, ELSEWHERE, 10)
    clock.pass_seconds(MINUTE)
    waits = await asyncio.gather(*(wait(lockout, ELSEWHERE) for _ in range(20)))
    assert sorted(waits) == [0] + [10] * 19
    # One that nobody judged, because something broke, leaves the door closed for ten seconds only.
    clock.pass_seconds(10)
    assert await wait(lockout, ELSEWHERE) == 0


async def test_tries_that_were_under_way_together_begin_one_wait(lockout: Lockout):
    await fail(lockout, ELSEWHERE, 9)
    assert await asyncio.gather(*(wait(lockout, ELSEWHERE) for _ in range(8))) == [0] * 8
    await asyncio.gather(*(lockout.failed(OWNER, ELSEWHERE) for _ in range(8)))
    assert await wait(lockout, ELSEWHERE) == MINUTE


async def test_a_success_after_a_wait_ends_it(lockout: Lockout, clock: Clock):
    await fail(lockout, HOME, 10)
    clock.pass_seconds(MINUTE)
    assert await wait(lockout, HOME) == 0
    await lockout.succeeded(OWNER, HOME)
    assert await wait(lockout, HOME) == 0


async def test_an_address_is_known_for_ninety_days(lockout: Lockout, clock: Clock):
    await lockout.succeeded(OWNER, HOME)
    clock.pass_seconds(KNOWN_SECONDS - 1)
    assert (await lockout.check(OWNER, HOME)).known
    clock.pass_seconds(1)
    assert not (await lockout.check(OWNER, HOME)).known


async def test_the_twenty_addresses_used_last_are_known(lockout: Lockout, clock: Clock):
    addresses = [f"198.51.100.{n}" for n in range(KNOWN_MAX + 1)]
    for address in [*addresses[:-1], addresses[0], addresses[-1]]:
        clock.pass_seconds(1)
        await lockout.succeeded(OWNER, address)
    known = [a for a in addresses if (await lockout.check(OWNER, a)).known]
    assert known == [addresses[0], *addresses[2:]]


async def test_nothing_in_redis_names_an_account_or_an_address(redis_url: str):
    scripts = scripts_on(redis_url)
    lockout = Lockout(scripts, names)
    await lockout.failed(OWNER, ELSEWHERE)
    await lockout.succeeded(OWNER, HOME)
    client = scripts._client
    keys = await client.keys("*")
    assert len(keys) == 3, "a counter of the account, one of it and an address, and a set of its addresses"
    members = [m for key in keys if b"known" in key for m in await client.zrange(key, 0, -1)]
    text = b" ".join([*keys, *members])
    assert len(members) == 1
    assert [secret for secret in (OWNER, "owner", HOME, ELSEWHERE) if secret.encode() in text] == []
    assert min([await client.pttl(key) for key in keys]) > 0
    await closed(scripts)


async def test_what_a_process_saw_itself_is_known_to_it_when_redis_is_gone(redis_url: str, clock: Clock):
    scripts = scripts_on(redis_url, clock)
    lockout = Lockout(scripts, names)
    await lockout.succeeded(OWNER, HOME)
    gone = scripts_on(NOWHERE, clock)
    lockout._scripts = gone
    assert (await lockout.check(OWNER, HOME)).known
    assert not (await lockout.check(OWNER, OFFICE)).known
    await closed(scripts, gone)


async def test_without_redis_what_a_process_remembers_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REMEMBERED_MAX", 3)
    scripts = scripts_on(NOWHERE, clock)
    lockout = Lockout(scripts, names)
    for number in range(9):
        await lockout.failed(f"{number}@example.com", ELSEWHERE)
        await lockout.succeeded(f"{number}@example.com", ELSEWHERE)
    assert len(lockout._here._counters) <= 3
    assert len(lockout._here._known) == 3
    await closed(scripts)


STEPS = st.tuples(
    st.integers(0, 40 * MINUTE),
    st.sampled_from(["a@example.com", "b@example.com"]),
    st.sampled_from([HOME, ELSEWHERE, OFFICE]),
    # Mostly failures: few sequences would ever lock anybody out otherwise.
    st.sampled_from(["fail"] * 12 + ["check"] * 4 + ["succeed"]),
    st.integers(1, 12),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_redis_and_a_process_alone_decide_alike(stack: EmbeddedStack, steps: list[tuple[int, str, str, str, int]]):
    async def run() -> None:
        clock = Clock()
        both = [scripts_on(stack.urls.redis_url, clock), scripts_on(NOWHERE, clock)]
        shared, alone = (Lockout(scripts, names) for scripts in both)
        number = next(_numbers)
        for seconds, who, address, step, times in steps:
            clock.pass_seconds(seconds)
            account = f"{number}{who}"
            for _ in range(times):
                assert await shared.check(account, address) == await alone.check(account, address)
                for each in (shared, alone):
                    if step == "fail":
                        await each.failed(account, address)
                    elif step == "succeed":
                        await each.succeeded(account, address)
        await closed(*both)

    asyncio.run(run())
