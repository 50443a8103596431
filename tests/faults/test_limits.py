"""Rate limits while Valkey is paused or killed: strict routes stay strict, everything else keeps serving."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

from domain.accounts.model import Role
from tests.builders import token
from tests.faults.site import Site
from tests.system import eventually

REQUESTS = 30


@pytest.fixture
def limited(site: Site) -> Iterator[httpx.Client]:
    """A client of an api process with the limits of production."""
    url = site.system.web("limited", RATE_AUTH_PER_MINUTE="10")
    with httpx.Client(base_url=url, verify=False, timeout=30) as client:
        yield client
    site.system.supervisor.remove("limited")


@contextmanager
def paused(site: Site) -> Iterator[None]:
    valkey = site.process("valkey")
    valkey.suspend()
    try:
        yield
    finally:
        valkey.resume()


@contextmanager
def killed(site: Site) -> Iterator[None]:
    """Kill the server; it is started again by itself, with nothing in it."""
    eventually(lambda: "valkey" in site.stack.supervisor.pids())
    site.process("valkey").kill()
    yield
    eventually(lambda: "valkey" in site.stack.supervisor.pids())


def forget(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/auth/password/forgot", json={"email": f"{number}@example.com"})


@pytest.mark.parametrize(("gone", "counts"), [(paused, 1), (killed, 2)], ids=["paused", "killed"])
def test_strict_routes_stay_strict_and_the_others_keep_serving(
    site: Site, limited: httpx.Client, gone: Callable[[Site], AbstractContextManager[None]], counts: int
):
    """``counts``: one of the process's own, and the server's once it is back, with nothing in it."""
    headers = {"Authorization": f"Bearer {token(None, Role.BUYER)}"}
    with gone(site):
        started = time.monotonic()
        accepted = 0
        while (answer := forget(limited, accepted)).status_code == 202:
            accepted += 1
        assert 10 <= accepted <= counts * (10 + (time.monotonic() - started) / 6)
        assert answer.status_code == 429
        assert re.fullmatch(r'"auth-address";r=0;t=[1-6]', answer.headers["ratelimit"])
        started = time.monotonic()
        served = [limited.get("/orders", headers=headers) for _ in range(REQUESTS)]
        assert {answer.status_code for answer in served} == {200}
        assert {answer.headers["ratelimit-policy"] for answer in served} == {'"principal";q=300;w=1'}
        assert time.monotonic() - started < REQUESTS * 0.2, "nobody waits for a server that doesn't answer"
    eventually(lambda: site.ready() == (200, "ok"))
