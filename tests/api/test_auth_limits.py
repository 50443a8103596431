"""Routes that tell who somebody is: few requests for each address and account, and who fails waits."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from domain.accounts.model import Purpose
from infra.onetime import token_of
from infra.settings import Settings
from tests.api.doorway import PASSWORD, Doorway, doorway
from tests.api.shop import assert_problem
from tests.infra.limits import NOWHERE, Clock

OWNER, HOME, ATTACKER = "owner@example.com", "192.0.2.1", "203.0.113.1"
LIMIT_FIELDS = ("ratelimit-policy", "ratelimit", "retry-after")
WRITE_LINK = """
INSERT INTO one_time_tokens (id, account_id, purpose, expires_at)
SELECT $1, id, $2, now() + interval '1 hour' FROM accounts WHERE email = $3
"""
LINKS: dict[Purpose, tuple[str, dict[str, object]]] = {
    Purpose.VERIFY_EMAIL: ("/auth/verify-email", {}),
    Purpose.RESET_PASSWORD: ("/auth/password/reset", {"password": PASSWORD}),
}
pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def door(settings: Settings, clock: Clock) -> AsyncIterator[Doorway]:
    async with doorway(settings, clock) as opened:
        yield opened


async def test_the_eleventh_request_of_an_address_in_a_minute_is_refused_whatever_it_asks(door: Doorway):
    answers = [await door.login(ATTACKER, f"{n}@example.com") for n in range(5)]
    answers += [await door.forgot(ATTACKER, f"{n}@example.com") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [202] * 5 + [429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"auth-address";q=10;w=60'}
    told = [f'"auth-address";r={left};t=6' for left in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)]
    assert [answer.headers["ratelimit"] for answer in answers] == told
    assert_problem(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["retry-after"] == "6"
    assert "retry-after" not in answers[-2].headers
    assert (await door.login(HOME, OWNER)).status_code == 401


async def test_waiting_as_long_as_was_said_lets_the_next_one_through(door: Doorway, clock: Clock):
    for _ in range(10):
        await door.forgot(ATTACKER, "a@example.com")
    refused = await door.forgot(ATTACKER, "a@example.com")
    clock.pass_seconds(int(refused.headers["retry-after"]))
    assert (await door.forgot(ATTACKER, "a@example.com")).status_code == 202


async def test_processes_share_the_limits(settings: Settings, clock: Clock):
    async with doorway(settings, clock) as first, doorway(settings, clock) as second:
        answers = [await (first, second)[n % 2].login(ATTACKER, f"{n}@example.com") for n in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2


async def test_the_eleventh_request_about_an_account_from_unknown_addresses_is_refused(door: Doorway):
    answers = [await door.login(f"203.0.113.{n}", OWNER) for n in range(10)]
    answers += [await door.forgot("203.0.113.10", OWNER.upper())]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[0].headers["ratelimit"] == '"auth-address";r=9;t=6'
    assert answers[-1].headers["ratelimit"] == '"auth-account";r=0;t=6'
    assert answers[-1].headers["retry-after"] == "6"
    assert (await door.login("203.0.113.10", "somebody.else@example.com")).status_code == 401


async def test_registering_counts_for_the_account_as_well(door: Doorway):
    form = {"email": OWNER, "password": PASSWORD}
    answers = [await door.post("/auth/register", f"203.0.113.{n}", **form) for n in range(11)]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]


async def test_a_thousand_failed_log_ins_do_not_lock_the_owner_out_at_a_known_address(door: Doorway, clock: Clock):
    await door.register(OWNER)
    assert (await door.login(HOME, OWNER, PASSWORD)).status_code == 200
    refused = 0
    for number in range(1_000):
        clock.pass_seconds(6)
        refused += (await door.login(f"203.0.113.{number % 200}", OWNER)).status_code == 429
    assert refused > 800, "a hundred fail, and after each wait one more"
    stranger = await door.login("198.51.100.1", OWNER, PASSWORD)
    assert stranger.status_code == 429
    assert int(stranger.headers["retry-after"]) > 60
    assert (await door.login(HOME, OWNER, PASSWORD)).status_code == 200
    assert (await door.forgot(HOME, OWNER)).status_code == 202


@pytest.mark.parametrize("purpose", [Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD])
async def test_a_link_that_was_mailed_lets_the_owner_in_from_where_others_failed(
    door: Doorway, clock: Clock, settings: Settings, purpose: Purpose
):
    await door.register(OWNER)
    for number in range(110):
        clock.pass_seconds(6)
        await door.login(f"203.0.113.{number % 50}", OWNER)
    assert (await door.login(HOME, OWNER, PASSWORD)).status_code == 429
    token_id = uuid4()
    async with door.edge.pool.acquire() as conn:
        await conn.execute(WRITE_LINK, token_id, purpose.value, OWNER)
    path, form = LINKS[purpose]
    answer = await door.post(path, HOME, token=token_of(settings.secret_key, purpose, token_id), **form)
    assert answer.status_code == 204, answer.text
    assert (await door.login(HOME, OWNER, PASSWORD)).status_code == 200
    assert (await door.login("198.51.100.1", OWNER, PASSWORD)).status_code == 429


async def test_ten_failures_from_one_address_make_it_wait_and_not_another_one(door: Doorway, clock: Clock):
    await door.register(OWNER)
    for _ in range(10):
        clock.pass_seconds(6)
        assert (await door.login(ATTACKER, OWNER)).status_code == 401
    clock.pass_seconds(6)
    refused = await door.login(ATTACKER, OWNER, PASSWORD)
    assert_problem(refused, 429, "rate_limited")
    assert refused.headers["retry-after"] == "54"
    assert refused.headers["ratelimit"] == '"auth-address";r=9;t=6'
    assert (await door.login(HOME, OWNER, PASSWORD)).status_code == 200
    clock.pass_seconds(54)
    assert (await door.login(ATTACKER, OWNER, PASSWORD)).status_code == 200


async def test_guessing_the_current_password_with_a_token_in_hand_is_failing(door: Doorway, clock: Clock):
    await door.register(OWNER)
    signed_in = (await door.login(HOME, OWNER, PASSWORD)).json()
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    form = {"current_password": "wrong password", "new_password": "a new password"}
    answers = []
    for _ in range(11):
        clock.pass_seconds(6)
        answers.append(await door.post("/auth/password/change", ATTACKER, bearer, **form))
    assert [answer.status_code for answer in answers] == [403] * 10 + [429]
    right = await door.post("/auth/password/change", HOME, bearer, **form | {"current_password": PASSWORD})
    assert right.status_code == 204


async def test_an_account_that_does_not_exist_is_answered_like_one_that_does(settings: Settings, clock: Clock):
    async with doorway(settings, clock, rate_auth_per_minute=1_000) as door:
        await door.register(OWNER)
        assert (await door.login(HOME, OWNER, PASSWORD)).status_code == 200
        told = []
        for email in (OWNER, "nobody@example.com"):
            clock.pass_seconds(60)
            answers = [await door.login(ATTACKER, email) for _ in range(12)]
            told.append([(a.status_code, a.json(), *map(a.headers.get, LIMIT_FIELDS)) for a in answers])
        assert [status for status, *_ in told[0]] == [401] * 10 + [429] * 2
        assert told[0] == told[1]


async def test_what_a_client_writes_of_its_address_counts_for_nothing(door: Doorway):
    answers = [
        await door.forgot(ATTACKER, f"{n}@example.com", {"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(11)
    ]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]


async def test_behind_a_proxy_clients_have_their_own_limits_and_cannot_choose_another(settings: Settings, clock: Clock):
    proxy = "10.0.0.1"
    async with doorway(settings, clock, trusted_proxies=1) as door:
        answers = [
            await door.forgot(proxy, f"{n}@example.com", {"X-Forwarded-For": f"198.51.100.{n}, {ATTACKER}"})
            for n in range(11)
        ]
        assert [answer.status_code for answer in answers] == [202] * 10 + [429]
        assert (await door.forgot(proxy, OWNER, {"X-Forwarded-For": HOME})).status_code == 202
        await door.register(OWNER)
        form = {"email": OWNER, "password": PASSWORD}
        signed_in = await door.post("/auth/login", proxy, {"X-Forwarded-For": HOME}, **form)
        async with door.edge.pool.acquire() as conn:
            session = UUID(signed_in.json()["session_id"])
            assert await conn.fetchval("SELECT address FROM sessions WHERE id = $1", session) == HOME


async def test_without_redis_a_process_limits_by_itself(settings: Settings):
    async with doorway(settings, redis_url=NOWHERE) as door:
        answers = [await door.login(ATTACKER, f"{n}@example.com") for n in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert answers[-1].headers["ratelimit"] == '"auth-address";r=0;t=6'
        answers = [await door.login(f"198.51.100.{n}", OWNER) for n in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]


async def test_turned_off_nothing_is_limited_and_nothing_told(settings: Settings):
    async with doorway(settings, rate_limits="off") as door:
        await door.register(OWNER)
        answers = [await door.login(ATTACKER, OWNER) for _ in range(30)]
        answers += [await door.forgot(ATTACKER, OWNER) for _ in range(30)]
        answers += [await door.login(ATTACKER, OWNER, PASSWORD)]
        assert {answer.status_code for answer in answers} == {401, 202, 200}
        assert [answer for answer in answers if "ratelimit" in answer.headers] == []
