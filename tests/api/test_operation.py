"""Lanes, sweeps, health, the backlog's limit, and the one log line per request and batch."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.accounts.model import Role
from domain.commands import SWEEPS, jobs_by_lane
from domain.journal.partitions import partition_name
from domain.rejections import Code
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.builders import SECRET_KEY
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)


def lane(shop: Shop, name: str) -> dict[str, Any]:
    answer = shop.http.get("/lanes", headers=ADMIN)
    assert answer.status_code == 200
    found: dict[str, Any] = next(item for item in answer.json()["items"] if item["lane"] == name)
    return found


def test_lanes_show_their_jobs_and_workers(shop: Shop):
    items = shop.http.get("/lanes", headers=ADMIN).json()["items"]
    assert {item["lane"]: [job["job"] for job in item["jobs"]] for item in items} == {
        name.value: jobs for name, jobs in jobs_by_lane().items()
    }
    eventually(lambda: lane(shop, "orders")["workers"] == 1)


def test_a_paused_lane_keeps_its_commands_until_it_is_resumed(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    paused = shop.http.post("/lanes/orders/pause", headers=ADMIN)
    assert (paused.status_code, paused.json()["paused"], paused.json()["lane"]) == (200, True, "orders")
    try:
        # Twice is once.
        assert shop.http.post("/lanes/orders/pause", headers=ADMIN).json()["paused_at"] == paused.json()["paused_at"]
        jobs = [shop.http.post("/orders", json=order(offer), headers=buyer).json() for _ in range(3)]
        figures = next(job for job in lane(shop, "orders")["jobs"] if job["job"] == "place_orders")
        assert (figures["depth"], figures["parked"]) == (3, 0)
        assert figures["oldest_seconds"] >= 0
        # Other lanes go on.
        assert shop.http.post("/sweeps/rescue_runs", headers={**ADMIN, **wait()}).status_code == 200
        assert {shop.http.get(j["links"]["self"], headers=buyer).json()["status"] for j in jobs} == {"queued"}
    finally:
        resumed = shop.http.post("/lanes/orders/resume", headers=ADMIN)
    assert (resumed.status_code, resumed.json()["paused"], resumed.json()["paused_at"]) == (200, False, None)
    shop.settle()
    assert {shop.http.get(j["links"]["self"], headers=buyer).json()["status"] for j in jobs} == {"succeeded"}
    assert shop.http.post("/lanes/orders/resume", headers=ADMIN).status_code == 200


@pytest.mark.parametrize("sweep", sorted(SWEEPS))
def test_a_sweep_runs_when_it_is_asked_for(shop: Shop, sweep: str):
    asked = shop.http.post(f"/sweeps/{sweep}", headers=ADMIN)
    assert (asked.status_code, asked.json()["kind"]) == (202, sweep)
    eventually(lambda: shop.http.get(asked.headers["location"], headers=ADMIN).json()["status"] == "succeeded")
    waited = shop.http.post(f"/sweeps/{sweep}", headers={**ADMIN, **wait()})
    assert (waited.status_code, waited.json()["status"]) == (200, "succeeded")


def test_health_tells_how_things_stand(shop: Shop):
    assert (shop.http.get("/health/live").status_code, shop.http.get("/health/live").json()) == (200, {"status": "ok"})
    assert shop.http.get("/health/ready").json() == {"status": "ok"}
    dependencies = shop.http.get("/health/dependencies")
    assert (dependencies.status_code, dependencies.json()) == (
        200,
        {"status": "ok", "items": [{"name": name, "status": "ok"} for name in ("postgresql", "partitions", "redis")]},
    )


def test_health_tells_when_the_journal_is_about_to_run_out_of_days(make_shop: Callable[[], Shop]):
    shop = make_shop()
    client = shop.web()
    day = datetime.now(UTC) + timedelta(days=2)
    shop.execute(f"DROP TABLE {partition_name('outcomes', day)}")
    assert (client.get("/health/ready").status_code, client.get("/health/ready").json()) == (
        200,
        {"status": "degraded"},
    )
    items = {item["name"]: item["status"] for item in client.get("/health/dependencies").json()["items"]}
    assert items == {"postgresql": "ok", "partitions": "degraded", "redis": "ok"}
    shop.execute(f"DROP TABLE {partition_name('commands', day + timedelta(days=1))}")
    assert client.get("/health/ready").json() == {"status": "degraded"}


def test_past_its_limit_a_backlog_takes_nothing_new_but_replays_what_it_knows(make_shop: Callable[[], Shop]):
    shop = make_shop()
    client = shop.web(BACKLOG_MAX="5")
    (offer,) = shop.offers()
    known = {**bearer(), "Idempotency-Key": "known"}
    first = client.post("/orders", json=order(offer), headers=known)
    for _ in range(5):
        assert client.post("/orders", json=order(offer), headers=bearer()).status_code == 202
    keyless = bearer()
    answer = eventually(lambda: _refused(client.post("/orders", json=order(offer), headers=keyless)), 10)
    assert_problem(answer, 503, Code.OVERLOADED)
    assert int(answer.headers["retry-after"]) >= 1
    before = shop.counts()
    refused = client.post("/orders", json=order(offer), headers={**bearer(), "Idempotency-Key": "new"})
    assert_problem(refused, 503, Code.OVERLOADED)
    waiting = client.post("/orders", json=order(offer), headers={**bearer(), "Idempotency-Key": "new", **wait(2)})
    assert_problem(waiting, 503, Code.OVERLOADED)
    again = client.post("/orders", json=order(offer), headers=known)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"]
    other = client.post("/orders", json=order(offer, quantity=2), headers=known)
    assert_problem(other, 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert shop.counts() == before
    # Another job's queue is its own.
    cancelled = client.post(f"/orders/{first.json()['id']}/cancel", headers=known | {"Idempotency-Key": "other"})
    assert cancelled.status_code == 202
    shop.system.worker()
    shop.settle()
    eventually(lambda: client.post("/orders", json=order(offer), headers=bearer()).status_code == 202, 10)


def _refused(answer: Any) -> Any:
    return answer if answer.status_code == 503 else None


def log_lines(shop: Shop, name: str) -> list[dict[str, Any]]:
    """What a process has logged; each line must be JSON."""
    return [msgspec.json.decode(text, type=dict[str, Any]) for text in shop.system.log(name).splitlines() if text]


def test_a_request_id_goes_from_the_request_to_the_workers_batch_and_back(shop: Shop):
    (offer,) = shop.offers()
    correlation = f"trace.{uuid4()}:1_A-b"
    buyer = uuid4()
    headers = {**bearer(subject=buyer), **wait(), "X-Request-ID": correlation}
    answer = shop.http.post("/orders", json=order(offer), headers=headers)
    assert answer.headers["x-request-id"] == correlation
    job = UUID(answer.json()["id"])
    assert shop.value("SELECT correlation FROM commands WHERE id = $1", job) == correlation
    assert shop.value("SELECT correlation FROM events WHERE stream = $1", job) == correlation

    def batches() -> list[dict[str, Any]]:
        return [line for line in log_lines(shop, "worker") if correlation in line.get("correlations", ())]

    (batch,) = eventually(batches)
    assert (batch["event"], batch["job"]) == ("batch", "place_orders")
    assert batch["claimed"] >= batch["succeeded"] >= 1
    assert batch["ms"] > 0
    (request,) = [line for line in log_lines(shop, "web") if line.get("correlation") == correlation]
    assert (request["event"], request["method"], request["path"], request["status"]) == (
        "request",
        "POST",
        "/orders",
        200,
    )
    assert request["ms"] > 0


def test_each_request_is_one_log_line_whatever_becomes_of_it(shop: Shop):
    sent = {
        "refused-1": shop.http.get("/orders", headers={"X-Request-ID": "refused-1"}),
        "unknown-1": shop.http.get("/nowhere", headers={"X-Request-ID": "unknown-1"}),
        "method-1": shop.http.delete("/orders", headers={"X-Request-ID": "method-1"}),
        "fine-1": shop.http.get("/health/live", headers={"X-Request-ID": "fine-1"}),
    }
    assert {name: answer.headers["x-request-id"] for name, answer in sent.items()} == {name: name for name in sent}

    def logged() -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for line in log_lines(shop, "web"):
            if line.get("correlation") in sent:
                found.setdefault(line["correlation"], []).append(line["status"])
        return found if len(found) == len(sent) else {}

    assert eventually(logged) == {name: [answer.status_code] for name, answer in sent.items()}


def test_logs_hold_neither_tokens_nor_bodies_nor_queries(shop: Shop):
    (offer,) = shop.offers()
    headers = {**bearer(), "Idempotency-Key": "a-key-that-is-nobodys-business", **wait()}
    placed = shop.http.post("/orders", json=order(offer), headers=headers)
    shop.http.post(
        f"{placed.json()['links']['order']}/cancel", json={"reason": "a-secret-reason"}, headers={**headers, **wait()}
    )
    shop.http.get("/orders?cursor=a-secret-cursor", headers=headers)
    shop.http.get("/orders", headers={"Authorization": "Bearer a-broken-token"})
    text = "".join(shop.system.log(name) for name in ("web", "web2", "worker"))
    for secret in (
        headers["Authorization"].removeprefix("Bearer "),
        "a-key-that-is-nobodys-business",
        "a-secret-reason",
        "a-secret-cursor",
        "a-broken-token",
        str(offer.variant_id),
        SECRET_KEY,
    ):
        assert secret not in text
    for name in ("web", "web2", "worker"):
        assert all({"event", "level", "at"} <= set(line) for line in log_lines(shop, name))
