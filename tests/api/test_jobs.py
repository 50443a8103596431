"""Jobs over HTTP: cancel, retry, and what retention leaves."""

import time
from uuid import UUID

import pytest

from domain import ids
from domain.accounts.model import Role
from domain.rejections import Code
from infra.clock import new_id
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)


def test_a_queued_job_can_be_cancelled_once(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    shop.pause()
    try:
        job = shop.http.post("/orders", json=order(offer), headers=buyer).json()
        path = job["links"]["self"]
        assert shop.http.get(path, headers=buyer).headers["retry-after"] == "1"
        cancelled = shop.http.post(f"{path}/cancel", headers=buyer)
        assert cancelled.status_code == 200
        assert (cancelled.json()["status"], cancelled.json()["problem"]) == ("cancelled", None)
        assert cancelled.json()["finished_at"] is not None
        problem = assert_problem(shop.http.post(f"{path}/cancel", headers=buyer), 409, Code.JOB_STATE)
        assert "cancelled" in problem["detail"]
    finally:
        shop.resume()
    shop.settle()
    assert shop.http.get(path, headers=buyer).json()["status"] == "cancelled"
    assert shop.value("SELECT count(*) FROM orders WHERE id = $1", UUID(job["id"])) == 0


def test_who_waits_for_a_job_hears_that_it_was_cancelled(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    shop.pause()
    try:
        job = shop.http.post("/orders", json=order(offer), headers=buyer).json()
        shop.http.post(f"{job['links']['self']}/cancel", headers=buyer)
        with shop.http.stream("GET", job["links"]["events"], headers=buyer) as stream:
            assert '"status":"cancelled"' in "".join(stream.iter_lines())
    finally:
        shop.resume()


def test_a_running_job_is_not_cancelled(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    # Its batch is open for as long as somebody else holds the stock it wants.
    shop.execute("BEGIN")
    try:
        shop.execute("SELECT FROM stock WHERE variant_id = $1 FOR UPDATE", offer.variant_id)
        path = shop.http.post("/orders", json=order(offer), headers=buyer).json()["links"]["self"]
        eventually(lambda: shop.http.get(path, headers=buyer).json()["status"] == "running", 2)
        problem = assert_problem(shop.http.post(f"{path}/cancel", headers=buyer), 409, Code.JOB_STATE)
        assert "running" in problem["detail"]
    finally:
        shop.execute("ROLLBACK")
    eventually(lambda: shop.http.get(path, headers=buyer).json()["status"] == "succeeded")


def test_an_ended_job_is_neither_cancelled_nor_retried(shop: Shop):
    (offer,) = shop.offers(units=1)
    buyer = bearer()
    placed = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()})
    refused = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()})
    for answer, state in ((placed, "succeeded"), (refused, "rejected")):
        path = answer.headers["location"]
        assert state in assert_problem(shop.http.post(f"{path}/cancel", headers=buyer), 409, Code.JOB_STATE)["detail"]
        assert state in assert_problem(shop.http.post(f"{path}/retry", headers=ADMIN), 409, Code.JOB_STATE)["detail"]
        assert "retry-after" not in shop.http.get(path, headers=buyer).headers
    assert shop.http.get(placed.json()["links"]["order"], headers=buyer).json()["status"] == "pending_payment"


def test_a_failed_job_may_be_cancelled_instead(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    shop.execute("ALTER TABLE orders ADD CONSTRAINT broken CHECK (currency <> 'USD') NOT VALID")
    try:
        answer = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()})
    finally:
        shop.execute("ALTER TABLE orders DROP CONSTRAINT broken")
    path = assert_problem(answer, 500, Code.JOB_FAILED)["job"]
    assert shop.http.post(f"{path}/cancel", headers=buyer).json()["status"] == "cancelled"
    assert_problem(shop.http.post(f"{path}/retry", headers=ADMIN), 409, Code.JOB_STATE)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_job_that_retention_has_dropped_is_a_410(shop: Shop, method: str):
    day_ms = 86_400_000
    old = ids.compose(int(time.time() * 1000) - 31 * day_ms, b"12345678")
    paths = (f"/jobs/{old}", f"/jobs/{old}/events") if method == "GET" else (f"/jobs/{old}/cancel",)
    for path in paths:
        assert_problem(shop.http.request(method, path, headers=bearer()), 410, Code.GONE)
    kept = ids.compose(int(time.time() * 1000) - 29 * day_ms, b"12345678")
    assert_problem(shop.http.get(f"/jobs/{kept}", headers=bearer()), 404, Code.NOT_FOUND)


def test_what_a_dropped_job_did_stays(shop: Shop):
    """The journal forgets a placement; its order is still shown, listed and cancelled."""
    (offer,) = shop.offers()
    buyer = bearer()
    job = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()}).json()
    for table in ("commands", "outcomes"):
        shop.execute(f"DELETE FROM {table} WHERE id = $1", UUID(job["id"]))
    assert shop.http.get(job["links"]["order"], headers=buyer).json()["status"] == "pending_payment"
    assert [o["id"] for o in shop.http.get("/orders", headers=buyer).json()["items"]] == [job["id"]]
    cancelled = shop.http.post(f"{job['links']['order']}/cancel", headers={**buyer, **wait()})
    assert cancelled.status_code == 200, cancelled.text


def test_retrying_what_never_failed_is_a_409(shop: Shop):
    (offer,) = shop.offers()
    shop.pause()
    try:
        job = shop.http.post("/orders", json=order(offer), headers=bearer()).json()
        answer = shop.http.post(f"{job['links']['self']}/retry", headers=ADMIN)
        assert "queued" in assert_problem(answer, 409, Code.JOB_STATE)["detail"]
    finally:
        shop.resume()
        shop.settle()


def test_a_job_of_nobody_is_seen_by_admins_only(shop: Shop):
    job = shop.http.post("/sweeps/prune_journal", headers={**ADMIN, **wait()}).json()
    assert job["links"]["self"] == f"/jobs/{job['id']}"
    assert job["links"]["order"] is None
    assert shop.http.get(job["links"]["self"], headers=bearer(Role.ADMIN)).json()["kind"] == "prune_journal"
    assert_problem(shop.http.get(job["links"]["self"], headers=bearer()), 404, Code.NOT_FOUND)
    assert_problem(shop.http.get(f"/jobs/{new_id()}", headers=ADMIN), 404, Code.NOT_FOUND)
