"""Waiting for a job: ``Prefer: wait``, and server-sent events."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.system import eventually


@contextmanager
def paused(shop: Shop) -> Iterator[None]:
    shop.pause()
    try:
        yield
    finally:
        shop.resume()
        shop.settle()


def test_a_client_that_waits_gets_the_outcome_itself(shop: Shop):
    (offer,) = shop.offers(units=1)
    placed = shop.http.post("/orders", json=order(offer), headers={**bearer(), **wait(10)})
    assert placed.status_code == 200
    assert placed.headers["preference-applied"] == "wait=10"
    assert placed.json()["status"] == "succeeded"
    refused = shop.http.post("/orders", json=order(offer), headers={**bearer(), **wait(10)})
    problem = assert_problem(refused, 409, Code.OUT_OF_STOCK, "lines[0]")
    assert refused.headers["preference-applied"] == "wait=10"
    assert problem["job"] == refused.headers["location"]


def test_a_job_that_failed_answers_a_500_problem_with_the_job(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    # Nothing a client sends does this: the row that the worker writes is refused by the database.
    shop.execute("ALTER TABLE orders ADD CONSTRAINT broken CHECK (currency <> 'USD') NOT VALID")
    try:
        answer = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()})
    finally:
        shop.execute("ALTER TABLE orders DROP CONSTRAINT broken")
    problem = assert_problem(answer, 500, Code.JOB_FAILED)
    job = shop.http.get(problem["job"], headers=buyer).json()
    assert (job["status"], job["problem"]["status"]) == ("failed", 500)
    # What went wrong inside is for operators only.
    assert "broken" not in answer.text + str(job)
    admin = bearer(Role.ADMIN)
    assert "broken" in shop.http.get(problem["job"], headers=admin).json()["problem"]["detail"]
    assert job["id"] in {j["id"] for j in shop.http.get("/jobs?status=failed", headers=admin).json()["items"]}
    retried = shop.http.post(f"{problem['job']}/retry", headers=admin)
    assert (retried.status_code, retried.headers["location"]) == (202, problem["job"])
    eventually(lambda: shop.http.get(problem["job"], headers=buyer).json()["status"] == "succeeded")


def test_when_the_time_is_over_it_is_a_202(shop: Shop):
    (offer,) = shop.offers()
    with paused(shop):
        started = time.monotonic()
        answer = shop.http.post("/orders", json=order(offer), headers={**bearer(), **wait(0.3)})
        assert 0.3 <= time.monotonic() - started < 5
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=0.3"
        assert answer.headers["location"] == answer.json()["links"]["self"]
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["status"] == "queued"
        assert shop.http.post("/orders", json=order(offer), headers={**bearer(), **wait(0)}).status_code == 202


@pytest.mark.parametrize(
    "prefer",
    ["wait=5", "respond-async, wait=5", "WAIT=5", "wait = 5", 'wait="5"', "wait=5; foo=bar", "handling=strict,wait=5"],
)
def test_prefer_is_read_as_rfc_7240_writes_it(shop: Shop, prefer: str):
    (offer,) = shop.offers()
    answer = shop.http.post("/orders", json=order(offer), headers={**bearer(), "Prefer": prefer})
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=5")


def test_prefer_may_come_in_several_headers(shop: Shop):
    (offer,) = shop.offers()
    headers = [*bearer().items(), ("Prefer", "respond-async"), ("Prefer", "wait=5")]
    assert shop.http.post("/orders", json=order(offer), headers=headers).status_code == 200


def test_more_than_the_longest_wait_is_cut_to_it(make_shop):
    shop = make_shop()
    client = shop.web(WAIT_SECONDS_MAX="0.2")
    (offer,) = shop.offers()
    answer = client.post("/orders", json=order(offer), headers={**bearer(), **wait(3_000)})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0.2")


def test_who_waits_while_the_process_stops_gets_a_202(make_shop):
    shop = make_shop()
    client = shop.web()
    (offer,) = shop.offers(units=100)
    buyer = bearer()

    def send(_number: int) -> httpx.Response:
        return client.post("/orders", json=order(offer), headers={**buyer, **wait(25)})

    with ThreadPoolExecutor(5) as pool:
        sent = [pool.submit(send, number) for number in range(5)]
        eventually(lambda: shop.value("SELECT count(*) FROM pending") == 5)
        started = time.monotonic()
        shop.system.supervisor.kill("web", signal.SIGTERM)
        answers = [future.result(timeout=20) for future in sent]
    assert [answer.status_code for answer in answers] == [202] * 5
    assert time.monotonic() - started < 10
    assert shop.value("SELECT count(*) FROM commands") == 5


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    name = ""
    for text in lines:
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: "):
            assert name == "job"
            yield msgspec.json.decode(text.removeprefix("data: "))


def test_following_a_job_tells_of_it_now_and_when_it_has_ended(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    followed: list[dict[str, Any]] = []
    first = threading.Event()
    with paused(shop):
        job = shop.http.post("/orders", json=order(offer), headers=buyer).json()

        def follow() -> None:
            with shop.http.stream("GET", job["links"]["events"], headers=buyer) as stream:
                assert stream.status_code == 200
                assert stream.headers["content-type"].startswith("text/event-stream")
                for event in _events(stream.iter_lines()):
                    followed.append(event)
                    first.set()

        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(follow)
            assert first.wait(10)
            assert [event["status"] for event in followed] == ["queued"]
            shop.resume()
            following.result(timeout=20)
    assert [event["status"] for event in followed] == ["queued", "succeeded"]
    assert followed[-1] == shop.http.get(job["links"]["self"], headers=buyer).json()


def test_following_a_job_that_has_ended_tells_of_it_once(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    job = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()}).json()
    with shop.http.stream("GET", job["links"]["events"], headers=buyer) as stream:
        assert [event["status"] for event in _events(stream.iter_lines())] == ["succeeded"]
