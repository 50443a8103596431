"""Lists of products over HTTP: filters, orders and pages against an oracle; who sees what; what is refused."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest

from domain.accounts.model import Role
from domain.catalog.listing import ListQuery, Sort
from domain.catalog.product_lifecycle import ProductStatus
from domain.money import MINOR_MAX
from ops.stack import EmbeddedStack
from tests.api import goods, tree
from tests.api.goods import ADMIN, Seller
from tests.api.shop import Shop, assert_problem, bearer
from tests.lists import World, draw_query, write_world

QUERIES = 150


@pytest.fixture(scope="module")
def listed(stack: EmbeddedStack, template: str) -> Iterator[Shop]:
    """A shop of its own, whose products are all known."""
    running = Shop(stack, template, redis_database=3)
    try:
        running.web()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def world(listed: Shop) -> World:
    return listed._runner.run(write_world(listed._conn))


def parameters(query: ListQuery) -> list[tuple[str, str]]:
    """A query as a client sends it."""
    given = [("sort", query.sort.value)] if query.sort is not Sort.NEWEST else []
    if query.statuses != (ProductStatus.ACTIVE,):
        given += [("status", status.value) for status in query.statuses]
    for name, value in (("category", query.category_id), ("seller", query.seller_id), ("currency", query.currency)):
        if value is not None:
            given.append((name, str(value)))
    if query.price_min:
        given.append(("price_min", str(query.price_min)))
    if query.price_max != MINOR_MAX:
        given.append(("price_max", str(query.price_max)))
    return given + [(f"attr.{code}", value) for code, values in query.attributes for value in values]


def ask(shop: Shop, given: Any = (), who: dict[str, str] | None = None) -> httpx.Response:
    return shop.http.get("/products?" + urlencode(given), headers=who or {})


def ids_of(answer: httpx.Response) -> list[UUID]:
    assert answer.status_code == 200, answer.text
    return [UUID(item["id"]) for item in answer.json()["items"]]


def test_every_page_of_every_list_is_the_oracles(listed: Shop, world: World):
    draw = random.Random(11)
    for _ in range(QUERIES):
        query = draw_query(draw, world)
        if query.owner_id is not None:
            continue
        expected = [product_id for product_id, _ in world.listed(query)]
        size = draw.choice([1, 3, 10, 200]) if len(expected) < 30 else draw.choice([20, 200])
        given = [*parameters(query), ("limit", str(size))]
        seen: list[UUID] = []
        cursor: str | None = None
        while True:
            answer = ask(listed, given + ([("cursor", cursor)] if cursor else []), ADMIN)
            page = ids_of(answer)
            assert len(page) <= size
            seen += page
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                break
            assert len(page) == size
        assert seen == expected, query


def test_a_card_says_what_a_list_shows(shop: Shop):
    (offer,) = shop.offers(price=900)
    cards = {UUID(item["id"]): item for item in ask(shop, [("seller", str(offer.seller_id))]).json()["items"]}
    assert list(cards) == [offer.product_id]
    card = cards[offer.product_id]
    view = shop.http.get(f"/products/{offer.product_id}").json()
    assert card == {name: view[name] for name in card}
    assert card["prices"] == [{"amount": 900, "currency": "USD"}]


def test_a_category_lists_what_is_below_it_and_a_move_is_felt_at_once(
    shop: Shop, seller: Seller, shirts: dict[str, Any]
):
    root, other = tree.category(shop), tree.category(shop)
    below = tree.category(shop, root)
    made = goods.active(shop, goods.product(shop, seller, category_id=below["id"]), seller)
    assert ids_of(ask(shop, [("category", root["id"])])) == [UUID(made["id"])]
    assert tree.move(shop, below, other).status_code == 200
    assert ids_of(ask(shop, [("category", root["id"])])) == []
    assert ids_of(ask(shop, [("category", other["id"])])) == [UUID(made["id"])]
    assert ids_of(ask(shop, [("category", str(uuid4()))])) == []


def test_a_list_follows_a_product_through_its_life(shop: Shop, shirts: dict[str, Any]):
    seller = goods.seller(shop)
    own = [("seller", str(seller.id))]
    made = goods.shirt(shop, seller, shirts)
    attribute = (f"attr.{shirts['fabric']}", "wool")
    assert ids_of(ask(shop, own)) == []
    assert ids_of(ask(shop, [*own, ("status", "draft")], seller.header)) == [UUID(made["id"])]
    goods.active(shop, made, seller)
    assert ids_of(ask(shop, own)) == ids_of(ask(shop, [*own, attribute])) == [UUID(made["id"])]
    goods.patch(shop, made, seller.header, {"attributes": {shirts["fabric"]: "felt"}})
    assert ids_of(ask(shop, [*own, attribute])) == []
    assert ids_of(ask(shop, [*own, attribute, (attribute[0], "felt")])) == [UUID(made["id"])]
    goods.stepped(shop, made, "deactivate", seller.header)
    assert ids_of(ask(shop, own)) == []


def test_a_price_is_listed_as_soon_as_it_is_put(shop: Shop):
    (offer,) = shop.offers(price=900)
    of_seller = [("seller", str(offer.seller_id)), ("currency", "USD")]
    who = bearer(Role.SELLER, subject=shop.member(offer.seller_id))
    body = {"sku": offer.sku, "price": {"amount": 700, "currency": "USD"}}
    assert ids_of(ask(shop, [*of_seller, ("price_max", "700")])) == []
    assert shop.http.put(f"/offers/{offer.variant_id}/{offer.seller_id}", json=body, headers=who).status_code == 200
    assert ids_of(ask(shop, [*of_seller, ("price_max", "700")])) == [offer.product_id]
    assert shop.http.delete(f"/offers/{offer.variant_id}/{offer.seller_id}", headers=who).status_code == 204
    assert ids_of(ask(shop, of_seller)) == []
    assert ids_of(ask(shop, [("seller", str(offer.seller_id))])) == [offer.product_id]


# --- Who sees what --------------------------------------------------------------------------------------------------


def test_what_isnt_active_is_listed_for_its_sellers_members_and_for_admins(shop: Shop, seller: Seller):
    other = goods.seller(shop)
    mine, theirs = goods.product(shop, seller), goods.product(shop, other)
    drafts = [("status", "draft"), ("status", "active"), ("limit", "200")]
    assert UUID(mine["id"]) in (listed := ids_of(ask(shop, drafts, seller.header)))
    assert UUID(theirs["id"]) not in listed
    assert {UUID(mine["id"]), UUID(theirs["id"])} <= set(ids_of(ask(shop, drafts, ADMIN)))
    assert ids_of(ask(shop, [*drafts, ("seller", str(other.id))], seller.header)) == []
    assert_problem(ask(shop, drafts), 401, "unauthenticated")
    assert_problem(ask(shop, drafts, bearer()), 403, "forbidden", "status")
    assert_problem(ask(shop, drafts, bearer(Role.SELLER, subject=shop.account())), 403, "forbidden", "status")


def test_a_member_lists_everybodys_active_products(shop: Shop, seller: Seller):
    (offer,) = shop.offers()
    assert offer.product_id in ids_of(ask(shop, [("limit", "200")], seller.header))


# --- What is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ([("category", "shirts")], "category"),
        ([("seller", "x")], "seller"),
        ([("status", "gone")], "status"),
        ([("sort", "cheapest")], "sort"),
        ([("sort", "price")], "currency"),
        ([("sort", "-price")], "currency"),
        ([("price_min", "1")], "currency"),
        ([("price_max", "1")], "currency"),
        ([("currency", "usd")], "currency"),
        ([("currency", "USD\0")], "currency"),
        ([("currency", "USD\n")], "currency"),
        ([("currency", "USD"), ("price_min", "2"), ("price_max", "1")], "price_max"),
        ([("currency", "USD"), ("price_min", "-1")], "price_min"),
        ([("currency", "USD"), ("price_min", "1.5")], "price_min"),
        ([("currency", "USD"), ("price_max", "1" * 30)], "price_max"),
        ([("limit", "0")], "limit"),
        ([("limit", "201")], "limit"),
        ([("limit", "many")], "limit"),
        ([("colour", "red")], "colour"),
        ([("attr.", "red")], "attr."),
        ([("attr.Colour", "red")], "attr.Colour"),
        ([("attr.a b", "red")], "attr.a b"),
        ([("attr.colour", "")], "attr.colour"),
        ([("attr.colour", "re\0d")], "attr.colour"),
        ([("attr.colour", str(n)) for n in range(101)], "attr."),
        ([("sort", "title"), ("sort", "newest")], "sort"),
        ([("cursor", "nonsense")], "cursor"),
        ([("cursor", "")], "cursor"),
    ],
)
def test_a_malformed_query_is_refused_with_its_parameter(shop: Shop, given: Any, path: str):
    assert_problem(ask(shop, given), 400, "invalid_request", path)


def test_a_query_that_is_far_too_long_is_refused(shop: Shop):
    assert_problem(ask(shop, [("attr.colour", "x" * 20_000)]), 400, "invalid_request")


def test_a_cursor_belongs_to_its_list(listed: Shop, world: World):
    first = ask(listed, [("limit", "2"), ("currency", "USD")]).json()["next_cursor"]
    for given in (
        [("sort", "title")],
        [("sort", "title"), ("currency", "USD")],
        [("sort", "price"), ("currency", "USD")],
        [("currency", "EUR")],
        [("currency", "USD"), ("attr.colour", "red")],
    ):
        assert_problem(ask(listed, [*given, ("cursor", first)]), 400, "invalid_request", "cursor")
    assert ask(listed, [("limit", "5"), ("currency", "USD"), ("cursor", first)]).status_code == 200


@pytest.mark.parametrize(
    "value", ["'; DROP TABLE products; --", "\x1f", "red\x1fblue", "%", "🙂", "1e999", "1e-400", "-0"]
)
def test_a_strange_value_finds_nothing(shop: Shop, value: str):
    assert ids_of(ask(shop, [("attr.colour", value)])) == []
    assert ids_of(ask(shop, [("attr.colour", value), ("attr.colour", "mauve-ish")])) == []
