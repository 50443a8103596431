"""Refunds over HTTP: who may, of what, and what the answers say."""

from typing import Any
from uuid import uuid4

from domain.accounts.model import Role
from tests.api.shop import Shop, assert_problem, bearer, wait
from tests.api.test_payments import look, paid, placed

ADMIN = bearer(Role.ADMIN)


def refund(shop: Shop, path: str, who: dict[str, str], **wish: Any) -> Any:
    return shop.http.post(f"{path}/refunds", json=wish, headers=who | wait())


def test_a_refund_says_what_is_given_back_and_the_order_shows_it(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer, price=999, quantity=3)
    payment = paid(shop, path, buyer)
    answer = refund(shop, path, ADMIN, lines=[{"line_no": 0, "quantity": 2}], reason="two were broken")
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    assert result["refund"] == {"amount": 1998, "currency": "USD"}
    assert result["lines"] == [{"line_no": 0, "quantity": 2, "amount": {"amount": 1998, "currency": "USD"}}]
    assert (result["payment_id"], result["refund_no"]) == (payment["payment_id"], 1)
    (shown,) = look(shop, path, buyer)["payments"]
    assert [each["reason"] for each in shown["refunds"]] == ["two were broken"]
    types = [each["type"] for each in shop.http.get(f"{path}/timeline", headers=buyer).json()["items"]]
    assert "order.credited" in types


def test_a_seller_refunds_what_is_theirs_and_an_admin_anything(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer, lines=2)
    paid(shop, path, buyer)
    stranger = bearer(Role.SELLER)
    assert_problem(refund(shop, path, stranger), 403, "forbidden")
    assert_problem(refund(shop, path, buyer), 403, "forbidden")
    assert refund(shop, path, ADMIN).json()["result"]["status"] == "cancelled"
    assert_problem(refund(shop, path, ADMIN), 409, "nothing_to_refund")


def test_what_cannot_be_is_refused_and_names_the_place(shop: Shop):
    buyer = bearer()
    path = placed(shop, buyer)
    assert_problem(refund(shop, path, ADMIN), 409, "order_state")
    assert_problem(refund(shop, f"/orders/{uuid4()}", ADMIN), 404, "not_found")
    paid(shop, path, buyer)
    assert_problem(refund(shop, path, ADMIN, lines=[{"line_no": 5}]), 422, "unknown_line", "lines[0].line_no")
    nothing = refund(shop, path, ADMIN, lines=[{"line_no": 0, "quantity": 0}])
    assert_problem(nothing, 400, "invalid_request", "lines[0].quantity")
    assert_problem(refund(shop, path, ADMIN, lines=[]), 400, "invalid_request", "lines")
    assert_problem(refund(shop, path, ADMIN, shipping=[str(uuid4())]), 422, "unknown_line", "shipping[0]")
