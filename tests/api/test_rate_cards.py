"""Rate cards over HTTP: whole lists on a version, whose they are, and what becomes of orders after a change."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec import Struct

from domain.accounts.model import Position, Role
from infra.clock import new_id
from tests.api import tree
from tests.api.principals import NEW_SELLER
from tests.api.shop import Shop, assert_problem, bearer, order, wait

ADMIN = bearer(Role.ADMIN)
EVENTS = "SELECT version, data FROM events WHERE type = 'rate_card.replaced' AND data ->> 'owner' = $1 ORDER BY version"
VERSION = "SELECT coalesce(max(version), 0) FROM pricing_versions WHERE part = 'rates'"
PATHS = ("/tax-rates", "/price-lists", "/shipping/zones", "/shipping/methods", "/shipping/rates")
GERMANY = {"country": "DE", "percent": "19", "inclusive": False}


class Owner(Struct):
    """A seller and who acts for it."""

    id: str
    header: dict[str, str]


def seller(shop: Shop) -> Owner:
    made = new_id()
    shop.execute(NEW_SELLER, made)
    return Owner(str(made), bearer(Role.SELLER, subject=shop.member(made, Position.STAFF)))


def put(shop: Shop, path: str, items: Any, who: dict[str, str], **more: Any) -> httpx.Response:
    return shop.http.put(path, json={"items": items}, headers=who, **more)


def written(shop: Shop, path: str, items: Any, who: dict[str, str], **more: Any) -> dict[str, Any]:
    answer = put(shop, path, items, who, **more)
    assert answer.status_code == 200, answer.text
    card: dict[str, Any] = answer.json()
    return card


def shipping() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A zone, a method, and what it costs there."""
    zone, method = {"id": str(uuid4()), "name": "Home"}, {"id": str(uuid4()), "name": "Post"}
    flat = {"by": "flat", "amount_minor": 5}
    return zone, method, {"method_id": method["id"], "zone_id": zone["id"], "currency": "USD", "cost": flat}


@pytest.fixture
def platforms_cards(shop: Shop) -> Iterator[None]:
    """The tests of a shop share the platform's cards: what one wrote, it takes back."""
    yield
    for path in ("/tax-rates", "/price-lists"):
        written(shop, path, [], ADMIN)


@pytest.mark.parametrize("path", PATHS[2:])
def test_a_card_nobody_wrote_is_empty_at_version_0(shop: Shop, path: str):
    who = seller(shop)
    answer = shop.http.get(path, headers=who.header)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"0"')
    assert answer.json() == {"items": [], "version": 0, "seller_id": who.id}


def test_a_list_takes_the_place_of_the_last_one_on_its_version(shop: Shop):
    who = seller(shop)
    first, second = {"id": str(uuid4()), "name": "Post"}, {"id": str(uuid4()), "name": "Courier", "active": False}
    answer = put(shop, "/shipping/methods", [first, second], who.header | {"If-Match": '"0"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    assert_problem(
        put(shop, "/shipping/methods", [], who.header | {"If-Match": '"0"'}), 412, "stale_version", "If-Match"
    )
    assert written(shop, "/shipping/methods", [second], who.header | {"If-Match": '"1"'})["version"] == 2
    shown = shop.http.get("/shipping/methods", headers=who.header)
    assert (shown.headers["etag"], shown.json()["items"]) == ('"2"', [second])
    told = [(row["version"], row["data"]) for row in shop.fetch(EVENTS, who.id)]
    assert [version for version, _ in told] == [1, 2]


def test_the_same_list_again_makes_no_version_and_no_event(shop: Shop):
    who = seller(shop)
    zones = [{"id": str(uuid4()), "name": "Home", "places": [{"country": "DE"}, {"country": "FR", "region": "Alsace"}]}]
    assert written(shop, "/shipping/zones", zones, who.header)["version"] == 1
    assert written(shop, "/shipping/zones", zones, who.header)["version"] == 1
    assert len(shop.fetch(EVENTS, who.id)) == 1


def test_a_change_raises_the_version_of_rates(shop: Shop):
    who, before = seller(shop), shop.value(VERSION)
    written(shop, "/shipping/methods", [{"id": str(uuid4()), "name": "Post"}], who.header)
    assert shop.value(VERSION) > before
    at = shop.value(VERSION)
    assert put(shop, "/shipping/methods", [{"id": "no id", "name": "Post"}], who.header).status_code == 400
    assert shop.value(VERSION) == at


def test_a_seller_has_cards_of_its_own_and_touches_no_others(shop: Shop):
    mine, theirs = seller(shop), seller(shop)
    zone = {"id": str(uuid4()), "name": "Home", "places": [{"country": "DE"}]}
    written(shop, "/shipping/zones", [zone], mine.header)
    assert shop.http.get("/shipping/zones", headers=theirs.header).json()["items"] == []
    params = {"seller": mine.id}
    assert_problem(shop.http.get("/shipping/zones", headers=theirs.header, params=params), 404, "not_found", "seller")
    assert_problem(put(shop, "/shipping/zones", [], theirs.header, params=params), 404, "not_found", "seller")
    assert shop.http.get("/shipping/zones", headers=mine.header, params=params).json()["items"] == [zone]
    assert shop.http.get("/shipping/zones", headers=ADMIN, params=params).json()["items"] == [zone]


def test_an_admin_writes_the_platforms_cards_and_with_seller_a_sellers(shop: Shop):
    who = seller(shop)
    method = {"id": str(uuid4()), "name": "Post"}
    platforms = shop.http.get("/shipping/methods", headers=ADMIN).json()
    assert platforms["seller_id"] is None
    card = written(shop, "/shipping/methods", [method], ADMIN, params={"seller": who.id})
    assert (card["items"], card["seller_id"]) == ([method], who.id)
    assert shop.http.get("/shipping/methods", headers=ADMIN).json() == platforms
    assert shop.http.get("/shipping/methods", headers=who.header).json()["items"] == [method]
    unknown = shop.http.get("/shipping/methods", headers=ADMIN, params={"seller": str(uuid4())})
    assert_problem(unknown, 404, "not_found", "seller")


def test_what_is_wrong_with_a_card_is_a_400_with_its_path_and_changes_nothing(shop: Shop):
    who = seller(shop)
    known = tree.category(shop)["id"]
    (offer,) = shop.offers()
    offered = {"variant_id": str(offer.variant_id), "seller_id": str(offer.seller_id), "price_minor": 1}
    prices = {"id": str(uuid4()), "name": "Sale", "currency": "USD", "prices": [offered]}
    of_shoes, of_nothing = GERMANY | {"category_id": known}, GERMANY | {"category_id": str(uuid4())}
    martian = {"id": str(uuid4()), "name": "A", "places": [{"country": "XX"}]}
    nowhere = {"method_id": str(uuid4()), "zone_id": str(uuid4()), "currency": "USD"}
    flat = {"by": "flat", "amount_minor": 1}
    bad = [
        (ADMIN, "/tax-rates", [GERMANY | {"percent": "100.5"}], "items[0].percent"),
        (ADMIN, "/tax-rates", [GERMANY, GERMANY | {"percent": 19}], "items[1].percent"),
        (
            ADMIN,
            "/tax-rates",
            [of_shoes, of_nothing],
            "items[1].category_id",
        ),
        (ADMIN, "/price-lists", [prices, prices], "items[1].id"),
        (ADMIN, "/price-lists", [prices | {"prices": [offered | {"seller_id": str(uuid4())}]}], "items[0].prices[0]"),
        (ADMIN, "/price-lists", [prices | {"group": "A\n"}], "items[0].group"),
        (
            who.header,
            "/shipping/zones",
            [martian],
            "items[0].places[0].country",
        ),
        (who.header, "/shipping/rates", [nowhere | {"cost": flat}], "items[0].method_id"),
        (who.header, "/shipping/rates", [nowhere | {"cost": {"by": "weight", "steps": []}}], "items[0].cost.steps"),
        (who.header, "/shipping/rates", [nowhere | {"cost": flat, "owner": who.id}], "items[0].owner"),
    ]
    before = shop.value(VERSION)
    for header, path, items, at in bad:
        assert_problem(put(shop, path, items, header), 400, "invalid_request", at)
    assert shop.value(VERSION) == before


def test_a_zone_or_a_method_that_rates_name_is_taken_away_after_them(shop: Shop):
    who = seller(shop)
    zone, method = (
        {"id": str(uuid4()), "name": "Home", "places": [{"country": "DE"}]},
        {"id": str(uuid4()), "name": "Post"},
    )
    rate = {
        "method_id": method["id"],
        "zone_id": zone["id"],
        "currency": "USD",
        "cost": {"by": "flat", "amount_minor": 5},
    }
    written(shop, "/shipping/zones", [zone], who.header)
    written(shop, "/shipping/methods", [method], who.header)
    written(shop, "/shipping/rates", [rate], who.header)
    for path in ("/shipping/zones", "/shipping/methods"):
        assert_problem(put(shop, path, [], who.header), 409, "conflict", "items")
    for path in ("/shipping/rates", "/shipping/zones", "/shipping/methods"):
        assert written(shop, path, [], who.header)["version"] == 2


def test_of_two_who_write_on_one_version_at_once_one_does(shop: Shop):
    who = seller(shop)

    def write(n: int) -> int:
        items = [{"id": str(uuid4()), "name": f"Post {n}"}]
        return put(shop, "/shipping/methods", items, who.header | {"If-Match": '"0"'}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [200] + [412] * 7


def test_a_zone_and_a_rate_that_names_it_never_miss_each_other(shop: Shop):
    """One takes a zone away while the other names it: whoever comes second is refused."""
    who = seller(shop)
    zone, method = {"id": str(uuid4()), "name": "Home"}, {"id": str(uuid4()), "name": "Post"}
    rate = {
        "method_id": method["id"],
        "zone_id": zone["id"],
        "currency": "USD",
        "cost": {"by": "flat", "amount_minor": 5},
    }
    written(shop, "/shipping/methods", [method], who.header)
    for _ in range(5):
        written(shop, "/shipping/rates", [], who.header)
        written(shop, "/shipping/zones", [zone], who.header)
        with ThreadPoolExecutor(2) as pool:
            takes = pool.submit(put, shop, "/shipping/zones", [], who.header)
            names = pool.submit(put, shop, "/shipping/rates", [rate], who.header)
            statuses = (takes.result().status_code, names.result().status_code)
        assert statuses in {(200, 400), (409, 200)}


def test_the_next_order_is_priced_by_the_rates_that_were_acknowledged(shop: Shop, platforms_cards: None):
    """However often they change: no order is placed by what held before the answer."""
    (offer,) = shop.offers(price=10_000)
    body = order(offer) | {"shipping_address": {"name": "A", "line1": "B", "city": "C", "country": "DE"}}
    for percent in ("19", "7", "0", "12.5"):
        written(shop, "/tax-rates", [GERMANY | {"percent": percent}], ADMIN)
        placed = shop.http.post("/orders", json=body, headers=bearer() | wait())
        assert placed.status_code == 200, placed.text
        assert placed.json()["result"]["total"]["amount"] == 10_000 + int(float(percent) * 100)


def test_a_group_of_buyers_pays_by_its_own_price_list(shop: Shop, platforms_cards: None):
    (offer,) = shop.offers(price=1_000)
    price = {"variant_id": str(offer.variant_id), "seller_id": str(offer.seller_id), "price_minor": 700}
    lists = [{"id": str(uuid4()), "name": "Wholesale", "currency": "USD", "group": "wholesale", "prices": [price]}]
    written(shop, "/price-lists", lists, ADMIN)
    buyer = shop.account(Role.BUYER)
    header = bearer(Role.BUYER, subject=buyer)

    def total() -> int:
        answer = shop.http.post("/orders", json=order(offer), headers=header | wait())
        assert answer.status_code == 200, answer.text
        amount: int = answer.json()["result"]["total"]["amount"]
        return amount

    assert total() == 1_000
    answer = shop.http.put(f"/accounts/{buyer}/group", json={"group": "wholesale"}, headers=ADMIN)
    assert (answer.status_code, answer.json()["group"], answer.headers["etag"]) == (200, "wholesale", '"2"')
    assert total() == 700
    assert shop.http.get("/auth/profile", headers=header).json()["group"] == "wholesale"
    left = shop.http.put(f"/accounts/{buyer}/group", json={"group": None}, headers=ADMIN | {"If-Match": '"2"'})
    assert left.json()["group"] is None
    assert total() == 1_000
    told = shop.fetch("SELECT data FROM events WHERE stream = $1 ORDER BY version", buyer)
    assert [row["data"] for row in told] == ['{"group": "wholesale"}', '{"group": null}']


def test_a_group_is_set_on_a_version_by_an_admin_alone_and_the_same_again_is_nothing(shop: Shop):
    account = shop.account(Role.BUYER)
    path = f"/accounts/{account}/group"
    for body in ({}, {"group": ""}, {"group": "Wholesale"}, {"group": "a\n"}, {"group": "a" * 51}):
        assert_problem(shop.http.put(path, json=body, headers=ADMIN), 400, "invalid_request", "group")
    assert shop.http.put(path, json={"group": "a"}, headers=bearer(subject=account)).status_code == 403
    stale = shop.http.put(path, json={"group": "a"}, headers=ADMIN | {"If-Match": '"7"'})
    assert_problem(stale, 412, "stale_version", "If-Match")
    assert shop.http.put(path, json={"group": None}, headers=ADMIN).headers["etag"] == '"1"'
    assert_problem(shop.http.put(f"/accounts/{new_id()}/group", json={"group": "a"}, headers=ADMIN), 404, "not_found")
