"""Returns over real HTTP, from asked for to refunded: who may do what, and who sees them."""

from typing import Any

import httpx
import pytest

from domain.accounts.model import Role
from tests.api import goods
from tests.api.shop import Shop, assert_problem, bearer, order, wait

ADMIN = bearer(Role.ADMIN)
ONE = {"lines": [{"line_no": 0, "quantity": 1}], "reason": "Too small"}


def send(shop: Shop, path: str, who: dict[str, str], body: Any = None) -> httpx.Response:
    return shop.http.post(path, json=body, headers=who | wait())


def done(shop: Shop, path: str, who: dict[str, str], body: Any = None) -> dict[str, Any]:
    answer = send(shop, path, who, body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def delivered(shop: Shop, seller: goods.Seller, who: dict[str, str], quantity: int = 2) -> str:
    """The path of an order that was paid and delivered."""
    answer = send(shop, "/orders", who, order(shop.offer_of(seller.id), quantity=quantity))
    assert answer.status_code == 200, answer.text
    path: str = answer.json()["links"]["order"]
    done(shop, f"{path}/payment", who, {"gateway": "sandbox", "token": "tok_ok"})
    (part,) = shop.http.get(path, headers=who).json()["seller_orders"]
    for way in ("accept", "ship", "deliver"):
        done(shop, f"/seller-orders/{part['id']}/{way}", seller.header)
    return path


def asked(shop: Shop, path: str, who: dict[str, str]) -> str:
    """The path of a return of one unit."""
    (made,) = done(shop, f"{path}/returns", who, ONE)["returns"]
    return f"/returns/{made['return_id']}"


def get(shop: Shop, path: str, who: dict[str, str]) -> dict[str, Any]:
    answer = shop.http.get(path, headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_return_goes_from_asked_for_to_refunded(shop: Shop):
    seller, buyer = goods.seller(shop), bearer()
    path = delivered(shop, seller, buyer)
    made = asked(shop, path, buyer)
    shown = get(shop, made, buyer)
    assert (shown["state"], shown["reason"], shown["received"]) == ("requested", "Too small", [])
    assert shown["order_number"] == get(shop, path, buyer)["number"]
    assert done(shop, f"{made}/approve", seller.header, {"reason": "Send it"})["state"] == "approved"
    result = done(shop, f"{made}/receive", seller.header)
    assert (result["state"], result["refund"]["amount"], result["fulfilment"]) == ("received", 1000, "delivered")
    shown = get(shop, made, buyer)
    assert (shown["state"], shown["answer"]) == ("received", "Send it")
    assert shown["received"] == [{"line_no": 0, "quantity": 1, "restocked": 1}]
    assert_problem(send(shop, f"{made}/receive", seller.header), 409, "return_state")
    kinds = [each["type"] for each in get(shop, f"{path}/timeline", buyer)["items"]]
    assert [kind for kind in kinds if "return" in kind] == [
        "order.return_requested",
        "order.return_approved",
        "order.return_received",
    ]


def test_the_last_unit_that_comes_back_ends_the_order(shop: Shop):
    seller, buyer = goods.seller(shop), bearer()
    path = delivered(shop, seller, buyer, quantity=1)
    made = asked(shop, path, buyer)
    done(shop, f"{made}/approve", ADMIN)
    result = done(shop, f"{made}/receive", ADMIN, {"lines": [{"line_no": 0, "quantity": 1, "restock": False}]})
    assert (result["fulfilment"], result["status"]) == ("returned", "completed")
    assert result["lines"] == [{"line_no": 0, "quantity": 1, "restocked": 0}]
    assert get(shop, path, buyer)["seller_orders"][0]["fulfilment"] == "returned"


def test_a_rejection_says_why(shop: Shop):
    seller, buyer = goods.seller(shop), bearer()
    made = asked(shop, delivered(shop, seller, buyer), buyer)
    assert_problem(send(shop, f"{made}/reject", seller.header, {}), 400, "invalid_request", "reason")
    assert done(shop, f"{made}/reject", seller.header, {"reason": "It was worn"})["state"] == "rejected"
    assert get(shop, made, buyer)["answer"] == "It was worn"
    assert_problem(send(shop, f"{made}/approve", seller.header), 409, "return_state")


def test_who_bought_and_who_sold_see_a_return_and_nobody_else(shop: Shop):
    seller, buyer, stranger = goods.seller(shop), bearer(), goods.seller(shop)
    made = asked(shop, delivered(shop, seller, buyer), buyer)
    identifier = made.removeprefix("/returns/")
    for who in (buyer, seller.header, ADMIN):
        assert get(shop, made, who)["id"] == identifier
        assert identifier in [each["id"] for each in get(shop, "/returns", who)["items"]]
    for who in (bearer(), stranger.header):
        assert_problem(shop.http.get(made, headers=who), 404, "not_found")
        assert get(shop, "/returns", who)["items"] == []
    for way in ("approve", "receive"):
        assert_problem(send(shop, f"{made}/{way}", stranger.header), 404, "not_found")
        assert_problem(send(shop, f"{made}/{way}", buyer), 403, "forbidden")


def test_a_list_goes_on_page_by_page(shop: Shop):
    seller, buyer = goods.seller(shop), bearer()
    path = delivered(shop, seller, buyer, quantity=3)
    made = [asked(shop, path, buyer).removeprefix("/returns/") for _ in range(3)]
    for who in (buyer, seller.header):
        first = get(shop, "/returns?limit=2", who)
        rest = get(shop, f"/returns?limit=2&cursor={first['next_cursor']}", who)
        assert [each["id"] for each in (*first["items"], *rest["items"])] == made[::-1]


def test_only_ones_own_order_is_sent_back(shop: Shop):
    path = delivered(shop, goods.seller(shop), bearer())
    assert_problem(send(shop, f"{path}/returns", bearer(), ONE), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        ({"lines": [], "reason": "r"}, 400, "invalid_request", "lines"),
        ({"lines": ONE["lines"]}, 400, "invalid_request", "reason"),
        ({"lines": [{"line_no": 0, "quantity": 3}], "reason": "r"}, 409, "units_short", "lines[0].quantity"),
        ({"lines": [{"line_no": 9, "quantity": 1}], "reason": "r"}, 422, "unknown_line", "lines[0].line_no"),
    ],
)
def test_what_cant_be_sent_back_is_refused(shop: Shop, body: Any, status: int, code: str, path: str):
    buyer = bearer()
    where = delivered(shop, goods.seller(shop), buyer)
    assert_problem(send(shop, f"{where}/returns", buyer, body), status, code, path)
    assert get(shop, "/returns", buyer)["items"] == []
