"""Requests a second of each principal, over real HTTP and several processes; what answers say of them."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from domain.accounts.model import Role
from infra.pace import ROUND_SECONDS
from tests.api.routes import ROUTES
from tests.api.shop import Shop, assert_problem, bearer
from tests.api.test_schema import UNLIMITED
from tests.system import eventually

FIELDS = ("ratelimit-policy", "ratelimit")


def told(answer: httpx.Response) -> tuple[str, str]:
    """What an answer says of its limit."""
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"]


def ask(http: httpx.Client, name: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send a request to a route, about something that isn't there."""
    method, _, path = name.partition(" ")
    return http.request(method, re.sub(r"{\w+}", str(uuid4()), path), headers=headers)


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_says_how_its_limit_stands_but_for_those_without_one(shop: Shop, name: str):
    answer = ask(shop.http, name)
    assert [field in answer.headers for field in FIELDS] == [not name.startswith(UNLIMITED)] * 2


@pytest.mark.parametrize("path", ["/schema", "/docs"])
def test_pages_have_no_limit(shop: Shop, path: str):
    assert [field for field in FIELDS if field in shop.http.get(path).headers] == []


@pytest.mark.parametrize(
    ("status", "name", "headers"),
    [
        (200, "GET /orders", bearer(Role.BUYER)),
        (400, "POST /orders", bearer(Role.BUYER) | {"Content-Type": "application/json"}),
        (401, "GET /orders", {"Authorization": "Bearer made-up"}),
        (401, "GET /orders", {"Authorization": f"Bearer om_{'x' * 60}"}),
        (401, "GET /orders", {}),
        (403, "GET /lanes", bearer(Role.BUYER)),
        (404, "GET /orders/{order_id}", bearer(Role.BUYER)),
        (415, "POST /orders", bearer(Role.BUYER)),
    ],
)
def test_answers_of_every_status_say_it(shop: Shop, status: int, name: str, headers: dict[str, str]):
    answer = ask(shop.http, name, headers)
    assert answer.status_code == status
    policy, left = told(answer)
    assert policy == '"principal";q=300;w=1'
    assert re.fullmatch(r'"principal";r=(29\d|2[0-8]\d);t=1', left), left


def test_what_is_left_is_counted_for_each_principal(make_shop: Callable[[], Shop]):
    shop = make_shop()
    # One a second each, so that none comes back while the test looks.
    http = shop.web(RATE_REQUESTS_PER_SECOND="1")
    first, second = bearer(Role.BUYER), bearer(Role.BUYER)
    answer = http.get("/orders", headers=first)
    assert (answer.status_code, told(answer)) == (200, ('"principal";q=1;w=1', '"principal";r=0;t=1'))
    refused = eventually(lambda: next((a for a in [http.get("/orders", headers=first)] if a.status_code == 429), None))
    assert_problem(refused, 429, "rate_limited")
    assert (told(refused), refused.headers["retry-after"]) == (told(answer), "1")
    assert http.get("/orders", headers=second).status_code == 200
    # Who has no token is limited by address, whatever it claims; and a token that is none is no token.
    statuses = {
        http.get("/orders", headers={"X-Forwarded-For": f"192.0.2.{n}", "Authorization": token}).status_code
        for n in range(100)
        for token in ("Bearer made-up", "Basic eDp5")
    }
    assert statuses == {401, 429}
    # After the wait that was told it is let through.
    eventually(lambda: http.get("/orders", headers=first).status_code == 200)


def test_processes_limit_a_principal_together(make_shop: Callable[[], Shop]):
    shop, rate, count = make_shop(), 20, 2
    clients = [shop.web(f"web{n}", RATE_REQUESTS_PER_SECOND=str(rate)) for n in range(count)]
    headers = bearer(Role.BUYER)
    started = time.monotonic()
    given = asked = 0
    while time.monotonic() - started < 4:
        for http in clients:
            given += http.get("/orders", headers=headers).status_code == 200
            asked += 1
    seconds = time.monotonic() - started
    if asked < 4 * rate * seconds:
        pytest.skip("this machine is too busy to ask more than is allowed")
    # docs/decisions/0010-limits-counted-locally.md; two rounds, since a busy machine may be late with one.
    assert given <= rate * seconds + count * (rate + 2 * rate * ROUND_SECONDS + 1)
    assert given >= rate * (seconds - 2)


def test_turned_off_nothing_is_limited_and_nothing_told(make_shop: Callable[[], Shop]):
    http = make_shop().web(RATE_LIMITS="off", RATE_REQUESTS_PER_SECOND="1")
    headers = bearer(Role.BUYER)
    answers = [http.get("/orders", headers=headers) for _ in range(20)] + [http.get("/orders") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200, 401}
    assert [answer for answer in answers if set(FIELDS) & set(answer.headers)] == []
