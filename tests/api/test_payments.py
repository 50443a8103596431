"""Payments over real HTTP, from request to confirmed, with the sandbox as their gateway."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.accounts.model import Role
from domain.payments.audit_sql import PAYMENTS
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.builders import SECRET_KEY
from tests.gateways import webhook
from tests.ops.console import environment, ordermill
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)
INVALID = "invalid_request"
OK = {"gateway": "sandbox", "token": "tok_ok"}


def placed(shop: Shop, who: dict[str, str], *, price: int = 1999, quantity: int = 1, lines: int = 1) -> str:
    """The path of an order that was placed."""
    body = order(*shop.offers(offers=lines, price=price), quantity=quantity) | {"email": "a@example.org"}
    answer = shop.http.post("/orders", json=body, headers=who | wait())
    assert answer.status_code == 200, answer.text
    path: str = answer.json()["links"]["order"]
    return path


def pay(shop: Shop, path: str, who: dict[str, str], token: str = "tok_ok", **more: Any) -> httpx.Response:
    """Pay and wait; ``headers`` are sent besides, everything else is said in the body."""
    headers = who | wait() | more.pop("headers", {})
    body = {"gateway": "sandbox", "token": token, **more}
    return shop.http.post(f"{path}/payment", json=body, headers=headers)


def paid(shop: Shop, path: str, who: dict[str, str], token: str = "tok_ok", **more: Any) -> dict[str, Any]:
    """What paying came to."""
    answer = pay(shop, path, who, token, **more)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def look(shop: Shop, path: str, who: dict[str, str]) -> dict[str, Any]:
    answer = shop.http.get(path, headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def standing(shop: Shop, path: str, who: dict[str, str]) -> tuple[str, str]:
    found = look(shop, path, who)
    return found["status"], found["payment"]


def charged(shop: Shop, path: str) -> list[int]:
    """What the gateway's own books say was taken for an order, charge by charge."""
    rows = shop.fetch(
        "SELECT i.captured_minor FROM sandbox_intents i JOIN payments p ON p.id = i.payment_id"
        " WHERE p.order_id = $1 AND i.captured_minor > 0",
        UUID(path.removeprefix("/orders/")),
    )
    return [row["captured_minor"] for row in rows]


def notify(shop: Shop, kind: str, payment: str, **data: Any) -> httpx.Response:
    body, fields = webhook(kind, UUID(payment), **data)
    return shop.http.post("/webhooks/sandbox", content=body, headers=fields)


def test_paying_confirms_an_order_that_shows_its_payment_and_its_reservations(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer, price=1999, quantity=2)
    answer = pay(shop, path, buyer)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["kind"], job["status"]) == ("start_payments", "succeeded")
    assert job["result"] == {
        "order_id": path.removeprefix("/orders/"),
        "payment_id": job["id"],
        "state": "captured",
        "amount": {"amount": 3998, "currency": "USD"},
        "payment": "paid",
        "status": "confirmed",
        "action_url": None,
    }
    found = look(shop, path, buyer)
    assert (found["status"], found["payment"]) == ("confirmed", "paid")
    assert [(r["status"], r["quantity"]) for r in found["reservations"]] == [("confirmed", 2)]
    (payment,) = found["payments"]
    assert (payment["id"], payment["attempt_no"], payment["gateway"]) == (job["id"], 1, "sandbox")
    assert (payment["state"], payment["captured"]["amount"], payment["refunds"]) == ("captured", 3998, [])


def test_a_declined_payment_is_a_402_with_its_job_and_the_next_one_may_go_well(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    answer = pay(shop, path, buyer, "tok_declined")
    problem = assert_problem(answer, 402, "payment_declined")
    assert "card_declined" in problem["detail"]
    job = shop.http.get(answer.headers["location"], headers=buyer).json()
    assert problem["job"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["problem"]["code"]) == ("start_payments", "rejected", "payment_declined")
    assert standing(shop, path, buyer) == ("pending_payment", "failed")
    assert paid(shop, path, buyer)["status"] == "confirmed"
    states = [(p["attempt_no"], p["state"], p["reason"]) for p in look(shop, path, buyer)["payments"]]
    assert states == [(1, "failed", "card_declined"), (2, "captured", None)]


def test_where_action_is_required_the_buyer_acts_and_confirms(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    result = paid(shop, path, buyer, "tok_action_required")
    assert (result["state"], result["payment"], result["status"]) == (
        "action_required",
        "action_required",
        "pending_payment",
    )
    assert result["action_url"].startswith("https://")
    assert look(shop, path, buyer)["payments"][0]["action_url"] == result["action_url"]
    for _ in range(2):
        answer = shop.http.post(f"{path}/confirm-payment", headers=buyer | wait())
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["status"] == "confirmed"
    assert look(shop, path, buyer)["payments"][0]["action_url"] is None
    assert charged(shop, path) == [1999]


@pytest.mark.parametrize("token", ["tok_timeout_before", "tok_timeout_after", "tok_duplicate_webhook"])
def test_whatever_becomes_of_the_answer_money_is_taken_once(shop: Shop, token: str):
    buyer = bearer()
    path = placed(shop, buyer)
    assert paid(shop, path, buyer, token)["state"] == "captured"
    assert charged(shop, path) == [1999]


def test_a_guest_pays(shop: Shop):
    token = shop.http.post("/auth/guest").json()["access_token"]
    guest = {"Authorization": f"Bearer {token}"}
    path = placed(shop, guest)
    assert paid(shop, path, guest)["status"] == "confirmed"


def test_somebody_elses_order_is_not_paid_and_is_a_404(shop: Shop):
    path = placed(shop, bearer())
    before = shop.value("SELECT count(*) FROM commands")
    for action, body in (("payment", OK), ("confirm-payment", None)):
        assert_problem(shop.http.post(f"{path}/{action}", json=body, headers=bearer() | wait()), 404, "not_found")
    assert shop.value("SELECT count(*) FROM commands") == before


@pytest.mark.parametrize(
    ("body", "status", "code", "at"),
    [
        ({"gateway": "nowhere", "token": "tok_ok"}, 422, "unknown_gateway", "gateway"),
        ({"gateway": "sandbox"}, 400, INVALID, "token"),
        ({"gateway": "sandbox", "token": ""}, 400, INVALID, "token"),
        ({"gateway": 7, "token": "tok_ok"}, 400, INVALID, "gateway"),
        ({**OK, "capture": "later"}, 400, INVALID, "capture"),
        ({**OK, "amount": 1}, 400, INVALID, "amount"),
        ([], 400, INVALID, None),
    ],
)
def test_a_bad_payment_names_the_field_and_changes_nothing(
    shop: Shop, body: object, status: int, code: str, at: str | None
):
    buyer = bearer()
    path = placed(shop, buyer)
    before = shop.counts()
    assert_problem(shop.http.post(f"{path}/payment", json=body, headers=buyer | wait()), status, code, at)
    assert shop.counts() == before


def test_the_same_key_is_the_same_payment_and_one_charge(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    key = {"Idempotency-Key": uuid4().hex}
    first, again = pay(shop, path, buyer, headers=key), pay(shop, path, buyer, headers=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["id"] == again.json()["id"]
    assert len(look(shop, path, buyer)["payments"]) == 1
    assert charged(shop, path) == [1999]
    other = pay(shop, path, buyer, "tok_declined", headers=key)
    assert_problem(other, 422, "idempotency_key_reused")


def test_an_order_is_paid_once(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    paid(shop, path, buyer)
    assert_problem(pay(shop, path, buyer), 409, "order_state")
    assert charged(shop, path) == [1999]


def test_what_is_captured_on_shipment_is_authorized_and_an_admin_captures_it(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    result = paid(shop, path, buyer, capture="on_shipment")
    assert (result["state"], result["payment"], result["status"]) == ("authorized", "authorized", "confirmed")
    assert charged(shop, path) == []
    assert_problem(shop.http.post(f"{path}/capture", headers=buyer | wait()), 403, "forbidden")
    answer = shop.http.post(f"{path}/capture", headers=ADMIN | wait())
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["payment"] == "paid"
    assert charged(shop, path) == [1999]


def test_cancelling_a_paid_order_gives_the_money_and_the_goods_back(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer, price=500, lines=2)
    paid(shop, path, buyer)
    sold = look(shop, path, buyer)["lines"][0]["variant_id"]

    def on_hand() -> int:
        units: int = shop.value("SELECT on_hand FROM stock WHERE variant_id = $1", UUID(sold))
        return units

    before = on_hand()
    answer = shop.http.post(f"{path}/cancel", json={"lines": [0], "reason": "too big"}, headers=buyer | wait())
    assert answer.status_code == 200, answer.text
    eventually(lambda: standing(shop, path, buyer) == ("confirmed", "partially_refunded"))
    assert on_hand() == before + 1
    answer = shop.http.post(f"{path}/cancel", json={}, headers=buyer | wait())
    assert answer.status_code == 200, answer.text
    eventually(lambda: standing(shop, path, buyer) == ("cancelled", "refunded"))
    (payment,) = look(shop, path, buyer)["payments"]
    assert payment["refunded"] == payment["captured"] == {"amount": 1000, "currency": "USD"}
    assert [(r["refund_no"], r["amount"]["amount"], r["state"]) for r in payment["refunds"]] == [
        (1, 500, "succeeded"),
        (2, 500, "succeeded"),
    ]


def test_a_signed_webhook_moves_an_order_and_one_that_comes_again_is_the_same_job(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    payment = paid(shop, path, buyer, "tok_action_required")["payment_id"]
    said = {"webhook_id": f"msg_{uuid4().hex}", "amount": 1999, "currency": "USD"}
    answers = [notify(shop, "payment.succeeded", payment, **said) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[-1].text
    assert len({answer.json()["id"] for answer in answers}) == 1
    eventually(lambda: standing(shop, path, buyer) == ("confirmed", "paid"))
    types = [r["type"] for r in shop.fetch("SELECT type FROM events WHERE stream = $1", UUID(path.split("/")[-1]))]
    assert types.count("order.confirmed") == 1


def test_a_webhook_of_a_failure_after_the_money_was_taken_changes_nothing(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    payment = paid(shop, path, buyer)["payment_id"]
    answer = notify(shop, "payment.failed", payment, reason="too late")
    assert answer.status_code == 202
    eventually(lambda: look(shop, answer.headers["location"], ADMIN)["status"] == "succeeded")
    assert standing(shop, path, buyer) == ("confirmed", "paid")


def test_a_payments_token_is_shown_nowhere(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    secret = f"tok_{uuid4().hex}"
    answer = pay(shop, path, buyer, secret)
    problem = assert_problem(answer, 402, "payment_declined")
    job = answer.headers["location"]
    env = environment(
        DATABASE_URL=shop.database_url, REDIS_URL=shop.system.fleet.env["REDIS_URL"], SECRET_KEY=SECRET_KEY
    )
    listed = ordermill("jobs", "list", env=env).stdout + ordermill("jobs", "show", job.split("/")[-1], env=env).stderr
    assert "start_payments" in listed
    shown = [
        str(problem),
        listed,
        *(shop.http.get(where, headers=who).text for who in (buyer, ADMIN) for where in (job, "/jobs", path)),
        *(shop.system.log(name) for name in ("web", "web2", "worker")),
        *(row["data"] for row in shop.fetch("SELECT data::text AS data FROM events")),
    ]
    assert [text for text in shown if secret in text] == []


def test_the_audit_finds_nothing_wrong_with_what_the_routes_leave(shop: Shop):
    buyer = bearer()
    paid(shop, placed(shop, buyer), buyer)
    shop.settle()
    assert shop.violations(PAYMENTS) == {}
