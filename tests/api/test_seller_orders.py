"""Seller orders over real HTTP: what a seller sees, and what becomes of it."""

from typing import Any

import httpx
import pytest

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api import goods
from tests.api.shop import Shop, assert_problem, bearer, order, wait

ADMIN = bearer(Role.ADMIN)


def paid(shop: Shop, *sellers: goods.Seller, quantity: int = 2, **more: Any) -> tuple[str, list[str], dict[str, str]]:
    """An order of something of each seller, paid: its path, those of its seller orders, and its buyer."""
    who = bearer()
    body = order(*[shop.offer_of(seller.id) for seller in sellers], quantity=quantity) | {"email": "a@example.org"}
    answer = shop.http.post("/orders", json=body, headers=who | wait())
    assert answer.status_code == 200, answer.text
    path = answer.json()["links"]["order"]
    body = {"gateway": "sandbox", "token": "tok_ok", **more}
    answer = shop.http.post(f"{path}/payment", json=body, headers=who | wait())
    assert answer.status_code == 200, answer.text
    parts = looked_up(shop, path, who)["seller_orders"]
    of_seller = {part["seller_id"]: f"/seller-orders/{part['id']}" for part in parts}
    return path, [of_seller[str(seller.id)] for seller in sellers], who


def looked_up(shop: Shop, path: str, who: dict[str, str]) -> dict[str, Any]:
    answer = shop.http.get(path, headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def step(shop: Shop, path: str, way: str, who: dict[str, str], body: Any = None) -> httpx.Response:
    return shop.http.post(f"{path}/{way}", json=body, headers=who | wait())


def stepped(shop: Shop, path: str, way: str, who: dict[str, str], body: Any = None) -> dict[str, Any]:
    answer = step(shop, path, way, who, body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_a_seller_accepts_ships_in_parts_and_delivers(shop: Shop):
    seller = goods.seller(shop)
    path, (part,), buyer = paid(shop, seller)
    assert stepped(shop, part, "accept", seller.header)["fulfilment"] == "processing"
    sent = stepped(shop, part, "ship", seller.header, {"lines": [{"line_no": 0, "quantity": 1}], "tracking": "AB 1"})
    assert (sent["fulfilment"], sent["left"]) == ("partly_shipped", [{"line_no": 0, "quantity": 1}])
    (shown,) = looked_up(shop, path, buyer)["shipments"]
    assert (shown["id"], shown["carrier"], shown["tracking"]) == (sent["shipments"][0], "manual", "AB 1")
    assert (shown["state"], shown["lines"]) == ("shipped", [{"line_no": 0, "quantity": 1}])
    assert stepped(shop, part, "ship", seller.header)["fulfilment"] == "shipped"
    first = stepped(shop, part, "deliver", seller.header, {"shipment_id": shown["id"]})
    assert first["fulfilment"] == "shipped"
    last = stepped(shop, part, "deliver", seller.header)
    assert (last["fulfilment"], last["status"]) == ("delivered", "completed")
    assert looked_up(shop, path, buyer)["status"] == "completed"


def test_a_seller_sees_their_part_and_nothing_else(shop: Shop):
    one, other = goods.seller(shop), goods.seller(shop)
    path, (mine, theirs), buyer = paid(shop, one, other)
    shown = looked_up(shop, mine, one.header)
    assert [line["left_to_ship"] for line in shown["lines"]] == [2]
    assert shown["total"] == shown["lines"][0]["price"]["total"]
    assert (shown["status"], shown["payment"], shown["number"]) == (
        "confirmed",
        "paid",
        looked_up(shop, path, buyer)["number"],
    )
    text = shop.http.get(mine, headers=one.header).text
    assert str(other.id) not in text
    assert "a@example.org" not in text
    assert "buyer" not in shown
    assert_problem(shop.http.get(theirs, headers=one.header), 404, Code.NOT_FOUND)
    assert looked_up(shop, theirs, ADMIN)["seller_id"] == str(other.id)


@pytest.mark.parametrize("way", ["accept", "ship", "deliver", "cancel"])
def test_another_sellers_order_is_a_404_and_stays_as_it_is(shop: Shop, way: str):
    one, other = goods.seller(shop), goods.seller(shop)
    _, (part,), buyer = paid(shop, one)
    assert_problem(step(shop, part, way, other.header), 404, Code.NOT_FOUND)
    assert_problem(step(shop, part, way, buyer), 403, Code.FORBIDDEN)
    # The id of the order itself, or of another child of it, is no seller order's.
    assert_problem(step(shop, part[:-3] + "800", way, one.header), 404, Code.NOT_FOUND)
    assert looked_up(shop, part, one.header)["fulfilment"] == "awaiting"


def test_seller_orders_are_listed_newest_first_by_fulfilment_and_page(shop: Shop):
    one, other = goods.seller(shop), goods.seller(shop)
    made = [paid(shop, one, other)[1][0] for _ in range(3)]
    stepped(shop, made[1], "accept", one.header)

    def listed(who: dict[str, str], **query: Any) -> dict[str, Any]:
        answer = shop.http.get("/seller-orders", headers=who, params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def paths(page: dict[str, Any]) -> list[str]:
        return [f"/seller-orders/{item['id']}" for item in page["items"]]

    assert paths(listed(one.header)) == made[::-1]
    assert paths(listed(one.header, fulfilment="processing")) == [made[1]]
    first = listed(one.header, limit=2)
    assert paths(first) + paths(listed(one.header, limit=2, cursor=first["next_cursor"])) == made[::-1]
    everybodys: list[str] = []
    cursor: str | None = None
    while len(everybodys) < 6:
        page = listed(ADMIN, limit=1, **({"cursor": cursor} if cursor else {}))
        everybodys += paths(page)
        cursor = page["next_cursor"]
    assert len(set(everybodys)) == 6
    assert set(made) <= set(everybodys)


def test_a_seller_cancels_their_part(shop: Shop):
    one, other = goods.seller(shop), goods.seller(shop)
    path, (mine, theirs), buyer = paid(shop, one, other)
    stepped(shop, mine, "accept", one.header)
    stepped(shop, mine, "cancel", one.header, {"reason": "out of stock"})
    assert looked_up(shop, mine, one.header)["fulfilment"] == "cancelled"
    assert looked_up(shop, theirs, other.header)["fulfilment"] == "awaiting"
    assert looked_up(shop, path, buyer)["status"] == "confirmed"
    assert_problem(step(shop, theirs, "cancel", other.header, {"lines": [0]}), 422, Code.UNKNOWN_LINE, "lines[0]")


def test_what_is_shipped_is_cancelled_no_more(shop: Shop):
    seller = goods.seller(shop)
    path, (part,), buyer = paid(shop, seller)
    assert_problem(step(shop, part, "ship", seller.header), 409, Code.ORDER_STATE)
    stepped(shop, part, "accept", seller.header)
    assert_problem(shop.http.post(f"{path}/cancel", headers=buyer | wait()), 409, Code.ORDER_STATE)
    stepped(shop, part, "ship", seller.header)
    assert_problem(step(shop, part, "cancel", seller.header), 409, Code.ORDER_STATE)


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        ({"lines": []}, 400, Code.INVALID_REQUEST, "lines"),
        ({"lines": [{"line_no": 0, "quantity": 0}]}, 400, Code.INVALID_REQUEST, "lines[0].quantity"),
        ({"lines": [{"line_no": 0, "quantity": 999_999}]}, 400, Code.INVALID_REQUEST, "lines[0].quantity"),
        ({"lines": [{"line_no": 0, "quantity": 3}]}, 409, Code.UNITS_SHORT, "lines[0]"),
        ({"lines": [{"line_no": 7, "quantity": 1}]}, 422, Code.UNKNOWN_LINE, "lines[0]"),
        ({"carrier": "nobody"}, 422, Code.UNKNOWN_CARRIER, "carrier"),
        ({"tracking": "a\nb"}, 400, Code.INVALID_REQUEST, "tracking"),
        ({"nonsense": 1}, 400, Code.INVALID_REQUEST, "nonsense"),
    ],
)
def test_a_bad_shipment_is_refused_and_changes_nothing(shop: Shop, body: Any, status: int, code: str, path: str):
    seller = goods.seller(shop)
    _, (part,), _ = paid(shop, seller)
    stepped(shop, part, "accept", seller.header)
    assert_problem(step(shop, part, "ship", seller.header, body), status, code, path)
    assert looked_up(shop, part, seller.header)["shipments"] == []


def test_shipping_takes_what_was_authorized(shop: Shop):
    seller = goods.seller(shop)
    path, (part,), buyer = paid(shop, seller, capture="on_shipment")
    assert looked_up(shop, path, buyer)["payment"] == "authorized"
    stepped(shop, part, "accept", seller.header)
    stepped(shop, part, "ship", seller.header)
    shop.settle()
    assert looked_up(shop, path, buyer)["payment"] == "paid"


def test_the_same_key_is_the_same_shipment(shop: Shop):
    seller = goods.seller(shop)
    _, (part,), _ = paid(shop, seller)
    stepped(shop, part, "accept", seller.header)
    headers = seller.header | {"Idempotency-Key": part}
    body = {"lines": [{"line_no": 0, "quantity": 1}]}
    first, second = (step(shop, part, "ship", headers, body).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert len(looked_up(shop, part, seller.header)["shipments"]) == 1
