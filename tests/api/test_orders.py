"""Orders over real HTTP, from request to placed, looked up, listed and cancelled."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api.shop import Shop, assert_problem, bearer, line, order, wait
from tests.system import eventually

WHOLE: dict[str, object] = {}


def place(shop: Shop, buyer: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    """Place an order and wait for it; return the job."""
    answer = shop.http.post("/orders", json=body, headers={**buyer, **wait()})
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def look(shop: Shop, buyer: dict[str, str], job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get(job["links"]["order"], headers=buyer).json()
    return found


def cancel(shop: Shop, buyer: dict[str, str], job: dict[str, Any], body: object = WHOLE) -> httpx.Response:
    return shop.http.post(f"{job['links']['order']}/cancel", json=body, headers={**buyer, **wait()})


def reserved(shop: Shop, variant: UUID) -> int:
    units: int = shop.value("SELECT reserved FROM stock WHERE variant_id = $1", variant)
    return units


def test_an_order_is_placed_and_its_job_tells_so(shop: Shop):
    (offer,) = shop.offers(units=5, price=1999)
    buyer = bearer()
    answer = shop.http.post("/orders", json=order(offer, quantity=2), headers={**buyer, **wait()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["total"] == {"amount": 3998, "currency": "USD"}
    job = shop.http.get(answer.headers["Location"], headers=buyer).json()
    assert job["status"] == "succeeded"
    found = shop.http.get(job["links"]["order"], headers=buyer).json()
    assert found["status"] == "pending_payment"
    assert found["number"] == job["result"]["number"]


def test_the_id_of_an_order_is_the_id_of_its_job(shop: Shop):
    (offer,) = shop.offers()
    answer = shop.http.post("/orders", json=order(offer), headers=bearer())
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    assert answer.headers["retry-after"] == "1"
    assert UUID(job["id"]).version == 7
    assert job["links"] == {
        "self": f"/jobs/{job['id']}",
        "events": f"/jobs/{job['id']}/events",
        "order": f"/orders/{job['id']}",
    }
    shop.settle()


def test_an_order_shows_its_lines_seller_orders_reservations_and_price(shop: Shop):
    first, second, third = shop.offers(offers=3, sellers=2, price=250)
    buyer = uuid4()
    headers = bearer(subject=buyer)
    body = {"currency": "USD", "lines": [line(first, 2), line(second, 1), line(third, 3), line(first, 1)]}
    found = look(shop, headers, place(shop, headers, body))
    assert found["buyer"] == str(buyer)
    assert found["payment"] == "unpaid"
    assert (found["price"]["version"], found["price"]["total"]) == (1, {"amount": 1750, "currency": "USD"})
    # Two lines of the same offer are one line.
    assert [(x["line_no"], x["quantity"], x["unit_price"]["amount"]) for x in found["lines"]] == [
        (0, 3, 250),
        (1, 1, 250),
        (2, 3, 250),
    ]
    assert found["lines"][0]["title"] == "A thing"
    assert found["lines"][0]["attributes"] == {"colour": "red"}
    assert [(s["seller_id"], s["fulfilment"], s["lines"]) for s in found["seller_orders"]] == [
        (str(first.seller_id), "awaiting", [0, 2]),
        (str(second.seller_id), "awaiting", [1]),
    ]
    assert [(r["line_no"], r["status"], r["quantity"]) for r in found["reservations"]] == [
        (0, "active", 3),
        (1, "active", 1),
        (2, "active", 3),
    ]


def test_while_placing_is_queued_the_order_is_being_placed(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    shop.pause()
    try:
        job = shop.http.post("/orders", json=order(offer), headers=buyer).json()
        found = shop.http.get(job["links"]["order"], headers=buyer)
        assert (found.status_code, found.json()) == (200, {"id": job["id"], "status": "placing"})
        assert shop.http.get(f"{job['links']['order']}/timeline", headers=buyer).json() == {"items": []}
        assert shop.http.get("/orders", headers=buyer).json()["items"] == []
    finally:
        shop.resume()
    eventually(lambda: look(shop, buyer, job)["status"] == "pending_payment")


def test_after_a_rejected_placing_the_order_is_a_404_that_names_the_job(shop: Shop):
    (offer,) = shop.offers(units=1)
    buyer = bearer()
    refused = shop.http.post("/orders", json=order(offer, quantity=2), headers={**buyer, **wait()})
    job = assert_problem(refused, 409, Code.OUT_OF_STOCK, "lines[0]")["job"]
    path = job.replace("/jobs/", "/orders/")
    problem = assert_problem(shop.http.get(path, headers=buyer), 404, Code.ORDER_NOT_PLACED)
    assert problem["job"] == job
    assert "2 wanted, 1 available" in problem["detail"]
    assert_problem(shop.http.get(path, headers=bearer()), 404, Code.NOT_FOUND)
    cancelled = cancel(shop, buyer, {"links": {"order": path}})
    assert_problem(cancelled, 409, Code.ORDER_NOT_PLACED)


def test_after_a_cancelled_placing_the_order_is_a_404_that_names_the_job(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    shop.pause()
    try:
        job = shop.http.post("/orders", json=order(offer), headers=buyer).json()
        assert shop.http.post(f"{job['links']['self']}/cancel", headers=buyer).json()["status"] == "cancelled"
    finally:
        shop.resume()
    problem = assert_problem(shop.http.get(job["links"]["order"], headers=buyer), 404, Code.ORDER_NOT_PLACED)
    assert problem["job"] == job["links"]["self"]
    assert reserved(shop, offer.variant_id) == 0


def test_cancelling_an_order_gives_its_stock_back(shop: Shop):
    first, second = shop.offers(offers=2, sellers=2)
    buyer = bearer()
    job = place(shop, buyer, order(first, second, quantity=3))
    answer = cancel(shop, buyer, job, {"reason": "changed my mind"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {
        "order_id": job["id"],
        "cancelled_lines": [0, 1],
        "total": {"amount": 0, "currency": "USD"},
        "status": "cancelled",
        "refund": {"amount": 0, "currency": "USD"},
    }
    found = look(shop, buyer, job)
    assert found["status"] == "cancelled"
    assert {r["status"] for r in found["reservations"]} == {"released"}
    assert all(x["cancelled_at"] for x in found["lines"])
    assert (reserved(shop, first.variant_id), reserved(shop, second.variant_id)) == (0, 0)


def test_cancelling_lines_leaves_the_others_as_they_are(shop: Shop):
    first, second = shop.offers(offers=2, sellers=2, price=100)
    buyer = bearer()
    job = place(shop, buyer, order(first, second, quantity=2))
    before = look(shop, buyer, job)
    assert cancel(shop, buyer, job, {"lines": [0]}).json()["result"]["total"]["amount"] == 200
    found = look(shop, buyer, job)
    assert found["status"] == "pending_payment"
    assert (found["price"]["version"], found["price"]["total"]) == (2, {"amount": 200, "currency": "USD"})
    assert found["lines"][1] == before["lines"][1]
    assert [s["fulfilment"] for s in found["seller_orders"]] == ["cancelled", "awaiting"]
    assert (reserved(shop, first.variant_id), reserved(shop, second.variant_id)) == (0, 2)
    assert cancel(shop, buyer, job).json()["result"]["status"] == "cancelled"


def test_cancelling_twice_is_a_409(shop: Shop):
    first, second = shop.offers(offers=2)
    buyer = bearer()
    job = place(shop, buyer, order(first, second))
    assert cancel(shop, buyer, job, {"lines": [1]}).status_code == 200
    assert_problem(cancel(shop, buyer, job, {"lines": [1]}), 409, Code.UNKNOWN_LINE, "lines[0]")
    assert_problem(cancel(shop, buyer, job, {"lines": [0, 7]}), 422, Code.UNKNOWN_LINE, "lines[1]")
    assert cancel(shop, buyer, job).status_code == 200
    problem = assert_problem(cancel(shop, buyer, job), 409, Code.ORDER_STATE)
    assert "cancelled" in problem["detail"]
    assert (reserved(shop, first.variant_id), reserved(shop, second.variant_id)) == (0, 0)


def test_a_cancellation_waits_for_the_placing_of_its_order(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    shop.pause()
    try:
        job = shop.http.post("/orders", json=order(offer), headers=buyer).json()
        asked = shop.http.post(f"{job['links']['order']}/cancel", headers=buyer)
        assert asked.status_code == 202
        assert asked.json()["status"] == "queued"
    finally:
        shop.resume()
    eventually(lambda: shop.http.get(asked.headers["location"], headers=buyer).json()["status"] == "succeeded")
    assert look(shop, buyer, job)["status"] == "cancelled"


def test_an_admin_may_cancel_anyones_order(shop: Shop):
    (offer,) = shop.offers()
    buyer, admin_id = bearer(), uuid4()
    job = place(shop, buyer, order(offer))
    assert cancel(shop, bearer(Role.ADMIN, subject=admin_id), job).status_code == 200
    items = shop.http.get(f"{job['links']['order']}/timeline", headers=buyer).json()["items"]
    assert items[-1]["actor"] == str(admin_id)


def test_the_timeline_tells_what_happened_in_order(shop: Shop):
    first, second = shop.offers(offers=2)
    buyer = bearer()
    job = place(shop, buyer, order(first, second))
    cancel(shop, buyer, job, {"lines": [1], "reason": "too many"})
    cancel(shop, buyer, job)
    items = shop.http.get(f"{job['links']['order']}/timeline", headers=buyer).json()["items"]
    assert [(item["version"], item["type"]) for item in items] == [
        (1, "order.placed"),
        (2, "order.lines_cancelled"),
        (3, "order.cancelled"),
    ]
    assert items[1]["data"]["reason"] == "too many"
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)


def pages(shop: Shop, path: str, headers: dict[str, str], limit: int) -> list[list[str]]:
    """The ids of each page of a list, walked to its end."""
    found, cursor = [], ""
    while True:
        answer = shop.http.get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})}, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            return found
        cursor = page["next_cursor"]


@pytest.mark.parametrize("path", ["/orders", "/jobs"])
def test_a_list_holds_ones_own_newest_first_page_by_page(shop: Shop, path: str):
    (offer,) = shop.offers()
    mine, theirs = bearer(), bearer()
    own = [place(shop, mine, order(offer))["id"] for _ in range(5)]
    other = place(shop, theirs, order(offer))["id"]
    newest_first = own[::-1]
    assert pages(shop, path, mine, 2) == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert pages(shop, path, mine, 5) == [newest_first]
    assert pages(shop, path, theirs, 200) == [[other]]
    assert pages(shop, path, bearer(), 10) == [[]]
    everything = pages(shop, path, bearer(Role.ADMIN), 200)
    ids = [found for page in everything for found in page]
    assert {*own, other} <= set(ids)
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids)


def test_a_page_does_not_shift_when_something_new_comes(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    own = [place(shop, buyer, order(offer))["id"] for _ in range(3)]
    first = shop.http.get("/orders?limit=2", headers=buyer).json()
    place(shop, buyer, order(offer))
    rest = shop.http.get("/orders", params={"cursor": first["next_cursor"]}, headers=buyer).json()
    assert [item["id"] for item in rest["items"]] == own[:1]


def test_a_list_shows_number_status_and_total(shop: Shop):
    (offer,) = shop.offers(price=700)
    buyer = bearer()
    job = place(shop, buyer, order(offer, quantity=2))
    cancel(shop, buyer, job)
    (item,) = shop.http.get("/orders", headers=buyer).json()["items"]
    assert item["number"] == job["result"]["number"]
    assert (item["status"], item["payment"], item["total"]["amount"]) == ("cancelled", "unpaid", 0)


def test_a_guest_orders_with_an_address_and_follows_the_order(shop: Shop):
    (thing,) = shop.offers(units=2)
    guest = {"Authorization": f"Bearer {shop.http.post('/auth/guest').json()['access_token']}"}
    refused = shop.http.post("/orders", json=order(thing), headers=guest)
    assert_problem(refused, 400, "invalid_request", "email")
    wrong = shop.http.post("/orders", json={**order(thing), "email": "nowhere"}, headers=guest)
    assert_problem(wrong, 400, "invalid_request", "email")
    placed = shop.http.post("/orders", json={**order(thing), "email": "ada@example.com"}, headers={**guest, **wait()})
    assert placed.status_code == 200, placed.text
    shown = shop.http.get(f"/orders/{placed.json()['id']}", headers=guest).json()
    assert shown["email"] == "ada@example.com"
    assert [item["id"] for item in shop.http.get("/orders", headers=guest).json()["items"]] == [shown["id"]]
    another = {"Authorization": f"Bearer {shop.http.post('/auth/guest').json()['access_token']}"}
    assert_problem(shop.http.get(f"/orders/{shown['id']}", headers=another), 404, "not_found")
    cancelled = shop.http.post(f"/orders/{shown['id']}/cancel", headers={**guest, **wait()})
    assert cancelled.status_code == 200, cancelled.text


def test_an_admin_finds_orders_by_number_address_seller_status_and_day(shop: Shop):
    first, second = shop.offers(offers=2, sellers=2)
    email = f"{uuid4().hex}@example.com"
    guest = {"Authorization": f"Bearer {shop.http.post('/auth/guest').json()['access_token']}"}
    buyer = shop.account(email=f"x{email}")
    theirs = place(shop, guest, order(first) | {"email": email})
    own = place(shop, bearer(subject=buyer), order(first, second))
    cancel(shop, guest, theirs)

    def found(who: dict[str, str] | None = None, **wanted: object) -> list[str]:
        answer = shop.http.get("/orders", params=wanted, headers=who or bearer(Role.ADMIN))
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    typed = own["result"]["number"].lower().replace("-", " ").replace("0", "o")
    assert found(number=typed) == [own["id"]]
    assert found(email=email.upper()) == [theirs["id"]]
    assert found(email=f"X{email}") == [own["id"]]
    assert found(seller=first.seller_id) == [own["id"], theirs["id"]]
    assert found(seller=first.seller_id, status="cancelled") == [theirs["id"]]
    today = datetime.now(UTC).date()
    assert found(seller=second.seller_id, placed_from=today - timedelta(days=1), placed_to=today) == [own["id"]]
    assert found(seller=second.seller_id, placed_to=today - timedelta(days=2)) == []
    assert found(bearer(subject=buyer), status="pending_payment") == [own["id"]]
    assert found(bearer(subject=buyer), number=theirs["result"]["number"]) == []


@pytest.mark.parametrize(
    ("name", "value"), [("number", "123"), ("placed_from", "0001-01-01"), ("placed_to", "9999-12-31")]
)
def test_what_nothing_can_be_looked_for_by_is_refused(shop: Shop, name: str, value: str):
    answer = shop.http.get("/orders", params={name: value}, headers=bearer(Role.ADMIN))
    assert_problem(answer, 400, Code.INVALID_REQUEST, name)
