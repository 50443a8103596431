"""Notes on orders over HTTP: who may write them, and who sees them."""

from typing import Any

import pytest

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api import goods
from tests.api.shop import Shop, assert_problem, bearer, order, wait

ADMIN = bearer(Role.ADMIN)


def note(shop: Shop, order_id: str, text: str, who: dict[str, str]) -> dict[str, Any]:
    answer = shop.http.post(f"/orders/{order_id}/notes", json={"text": text}, headers=who)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def texts(shop: Shop, order_id: str, who: dict[str, str]) -> list[str]:
    answer = shop.http.get(f"/orders/{order_id}/notes", headers=who)
    assert answer.status_code == 200, answer.text
    return [item["text"] for item in answer.json()["items"]]


def ordered(shop: Shop, *sellers: goods.Seller, buyer: dict[str, str] | None = None) -> str:
    """Place an order of something of each seller; return its id."""
    offers = [shop.offer_of(seller.id) for seller in sellers]
    answer = shop.http.post("/orders", json=order(*offers), headers=(buyer or bearer()) | wait())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_a_sellers_notes_are_seen_by_that_seller_and_admins_the_platforms_by_admins_alone(shop: Shop):
    one, other = goods.seller(shop), goods.seller(shop)
    placed = ordered(shop, one, other)
    made = note(shop, placed, "Gift wrap", one.header)
    assert (made["seller_id"], made["author"]) == (str(one.id), str(one.account))
    note(shop, placed, "Out of boxes", other.header)
    assert note(shop, placed, "Looks like fraud", ADMIN)["seller_id"] is None
    assert texts(shop, placed, one.header) == ["Gift wrap"]
    assert texts(shop, placed, other.header) == ["Out of boxes"]
    assert texts(shop, placed, ADMIN) == ["Looks like fraud", "Out of boxes", "Gift wrap"]


def test_a_seller_notes_only_orders_they_have_a_part_of(shop: Shop):
    seller, stranger = goods.seller(shop), goods.seller(shop)
    placed = ordered(shop, seller)
    before = shop.value("SELECT count(*) FROM order_notes")
    refused = shop.http.post(f"/orders/{placed}/notes", json={"text": "Mine?"}, headers=stranger.header)
    assert_problem(refused, 404, Code.NOT_FOUND)
    assert_problem(shop.http.get(f"/orders/{placed}/notes", headers=stranger.header), 404, Code.NOT_FOUND)
    assert shop.value("SELECT count(*) FROM order_notes") == before


def test_a_note_is_in_no_timeline(shop: Shop):
    seller, buyer = goods.seller(shop), bearer()
    placed = ordered(shop, seller, buyer=buyer)
    note(shop, placed, "Between us", seller.header)
    assert "Between us" not in shop.http.get(f"/orders/{placed}/timeline", headers=buyer).text
    assert_problem(shop.http.get(f"/orders/{placed}/notes", headers=buyer), 403, Code.FORBIDDEN)


@pytest.mark.parametrize("text", ["", " \n", "x" * 2_001])
def test_a_note_says_something(shop: Shop, text: str):
    placed = ordered(shop, goods.seller(shop))
    refused = shop.http.post(f"/orders/{placed}/notes", json={"text": text}, headers=ADMIN)
    assert_problem(refused, 400, Code.INVALID_REQUEST, "text")
