"""Lanes, sweeps, health, and the backlog's limit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.accounts.model import Role
from domain.commands import SWEEPS, jobs_by_lane
from domain.journal.model import Lane
from domain.journal.partitions import partition_name
from domain.rejections import Code
from tests.api.shop import Shop, assert_problem, bearer, order, wait
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
    for name in ("postgresql", "partitions", "redis"):
        assert {"name": name, "status": "ok"} in shop.http.get("/health/dependencies").json()["items"]


def others(client: Any) -> dict[str, Any]:
    """What health says of workers and the scheduler."""
    answer = client.get("/health/dependencies").json()
    named = {item["name"]: item for item in answer["items"]}
    found = {name: named[name] for name in ("workers", "scheduler")}
    assert answer["status"] != "ok" or {item["status"] for item in found.values()} == {"ok"}
    return found


def test_health_names_lanes_without_a_worker_and_a_silent_scheduler_and_is_ready_all_the_same(
    make_shop: Callable[[], Shop],
):
    shop = make_shop()
    client = shop.web()
    missing = others(client)
    assert missing["workers"]["detail"] == f"nobody serves {', '.join(lane.value for lane in Lane)}"
    assert missing["scheduler"]["detail"] == "it has never ticked"
    shop.system.worker(LANES="orders,stock,pricing,payouts,sweeps")
    eventually(lambda: others(client)["workers"].get("detail") == "nobody serves io")
    shop.system.worker("worker-io", LANES="io")
    shop.system.scheduler()
    eventually(lambda: {item["status"] for item in others(client).values()} == {"ok"})

    def late() -> Any:
        # Again, should a tick have come in between.
        shop.execute("UPDATE sweep_ticks SET at = now() - interval '1 hour' WHERE job = 'rescue_runs'")
        found = others(client)["scheduler"]
        return found if found["status"] == "degraded" else None

    assert "rescue_runs (36" in eventually(late)["detail"]
    assert client.get("/health/ready").json() == {"status": "ok"}


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
    assert (items["postgresql"], items["partitions"], items["redis"]) == ("ok", "degraded", "ok")
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
