"""Products over HTTP: made, changed, submitted, approved, shown; who changed what; two at once."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.accounts.model import Role
from tests.api import goods, tree
from tests.api.goods import ADMIN, Seller, by_slug, history, looked_up
from tests.api.shop import Shop, assert_problem, bearer

EVENTS = "SELECT version, type, actor, correlation FROM events WHERE stream = $1 ORDER BY version"


# --- Making ---------------------------------------------------------------------------------------------------------


def test_a_seller_makes_a_draft_of_its_own(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    body = {
        "title": f"Wool shirt {uuid4().hex}",
        "category_id": shirts["id"],
        "description": "Warm.",
        "attributes": {shirts["fabric"]: "wool"},
        "meta_title": "Shirts",
        "meta_description": "Warm shirts",
    }
    answer = shop.http.post("/products", json=body, headers=seller.header | {"X-Request-ID": "r1"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/products/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert {name: made[name] for name in body if name != "category_id"} == {
        name: value for name, value in body.items() if name != "category_id"
    }
    assert made["category"] == {"id": shirts["id"], "name": shirts["name"], "slug": shirts["slug"]}
    assert made["seller"] == {"id": str(seller.id), "name": "Analytical Engines"}
    assert (made["status"], made["version"], made["reason"]) == ("draft", 1, None)
    assert (made["variants"], made["prices"]) == ([], [])
    assert made["slug"] == body["title"].lower().replace(" ", "-")
    assert made["created_at"] == made["updated_at"]
    assert looked_up(shop, made, seller.header).json() == made
    assert [tuple(row) for row in shop.fetch(EVENTS, UUID(made["id"]))] == [
        (1, "product.created", seller.account, "r1")
    ]


@pytest.mark.parametrize("field", ["seller_id", "status", "slug", "version", "reason", "id", "created_at"])
def test_what_is_decided_by_others_cant_be_assigned(shop: Shop, seller: Seller, field: str):
    draft = goods.product(shop, seller)
    for method, path in (
        ("POST", "/products"),
        ("PUT", f"/products/{draft['id']}"),
        ("PATCH", f"/products/{draft['id']}"),
    ):
        body = {"title": "A thing", field: "active"}
        answer = shop.http.request(method, path, json=body, headers=seller.header)
        assert_problem(answer, 400, "invalid_request", field)
    assert looked_up(shop, draft, seller.header).json() == draft


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"meta_title": "x" * 71}, "meta_title"),
        ({"meta_description": "x" * 161}, "meta_description"),
        ({"description": "x" * 2_001}, "description"),
        ({"attributes": {"colour": {"red": 1}}}, "attributes[...]"),
        ({"attributes": {"colour": None}}, "attributes[...]"),
        ({"attributes": {f"a{n}": 1 for n in range(101)}}, "attributes"),
        ({"category_id": "shirts"}, "category_id"),
        ({"title": "nul \0"}, "title"),
    ],
)
def test_what_passes_a_limit_is_refused_with_its_path(shop: Shop, seller: Seller, fields: Any, path: str):
    answer = shop.http.post("/products", json={"title": "A thing", **fields}, headers=seller.header)
    assert_problem(answer, 400, "invalid_request", path)


def test_the_longest_meta_texts_are_taken(shop: Shop, seller: Seller):
    texts = {"meta_title": "ü" * 70, "meta_description": "ü" * 160, "title": "ü" * 200, "description": "ü" * 2_000}
    made = goods.product(shop, seller, **texts)
    assert {name: made[name] for name in texts} == texts


def test_a_category_that_isnt_there_is_refused(shop: Shop, seller: Seller):
    answer = shop.http.post("/products", json={"title": "T", "category_id": str(uuid4())}, headers=seller.header)
    assert_problem(answer, 422, "unknown_category", "category_id")


def test_who_acts_for_no_approved_seller_makes_nothing(shop: Shop, seller: Seller):
    nobody = bearer(Role.SELLER, subject=shop.account())
    assert_problem(shop.http.post("/products", json={"title": "T"}, headers=nobody), 403, "forbidden")
    suspended = goods.seller(shop)
    draft = goods.product(shop, suspended)
    shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", suspended.id)
    assert_problem(shop.http.post("/products", json={"title": "T"}, headers=suspended.header), 403, "forbidden")
    assert_problem(goods.patch(shop, draft, suspended.header, {"title": "U"}), 403, "forbidden")


# --- Seeing ---------------------------------------------------------------------------------------------------------


def test_others_see_a_product_only_while_it_is_active(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    other = goods.seller(shop)
    made = goods.shirt(shop, seller, shirts)
    seen_in: list[tuple[str, bool]] = []

    def look(state: dict[str, Any]) -> None:
        for who in (None, bearer(), other.header):
            for answer in (looked_up(shop, made, who), by_slug(shop, made["slug"], who)):
                if state["status"] != "active":
                    assert_problem(answer, 404, "not_found")
                else:
                    assert answer.status_code == 200
        for who in (seller.header, ADMIN):
            assert looked_up(shop, made, who).json() == state
            assert by_slug(shop, made["slug"], who).json() == state
        seen_in.append(state["status"])

    look(made)
    look(goods.stepped(shop, made, "submit", seller.header))
    look(goods.stepped(shop, made, "approve", ADMIN, {"approve": True}))
    look(goods.stepped(shop, made, "activate", seller.header))
    look(goods.stepped(shop, made, "deactivate", seller.header))
    look(goods.stepped(shop, made, "activate", ADMIN))
    look(goods.stepped(shop, made, "deactivate", ADMIN))
    look(goods.stepped(shop, made, "archive", seller.header))
    assert seen_in == ["draft", "pending_approval", "approved", "active", "inactive", "active", "inactive", "archived"]


def test_a_product_shows_its_variants_with_the_lowest_price_of_each_currency(shop: Shop):
    (offer,) = shop.offers(price=900)
    dear, cheap = goods.seller(shop), goods.seller(shop)
    for who, amount, currency in ((dear, 1_200, "USD"), (cheap, 700, "USD"), (cheap, 650, "EUR")):
        if currency == "USD":
            body = {"sku": "a", "price": {"amount": amount, "currency": currency}}
            answer = shop.http.put(f"/offers/{offer.variant_id}/{who.id}", json=body, headers=who.header)
            assert answer.status_code == 201, answer.text
    view = looked_up(shop, {"id": offer.product_id}).json()
    assert view["prices"] == [{"amount": 700, "currency": "USD"}]
    assert view["variants"] == [
        {
            "id": str(offer.variant_id),
            "attributes": {"colour": "red"},
            "active": True,
            "prices": [{"amount": 700, "currency": "USD"}],
        }
    ]
    euros = {"sku": "a", "price": {"amount": 650, "currency": "EUR"}}
    shop.http.put(f"/offers/{offer.variant_id}/{cheap.id}", json=euros, headers=cheap.header)
    shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", offer.seller_id)
    view = looked_up(shop, {"id": offer.product_id}).json()
    assert view["prices"] == [{"amount": 650, "currency": "EUR"}, {"amount": 1_200, "currency": "USD"}]


def test_what_is_no_product_is_a_404(shop: Shop):
    assert_problem(looked_up(shop, {"id": uuid4()}), 404, "not_found")
    for slug in ("no-such-thing", "UPPER", "%00", "a--b", "x" * 200, "%C3%BC"):
        answer = by_slug(shop, slug)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), slug


# --- Changing -------------------------------------------------------------------------------------------------------


def test_a_patch_changes_what_it_names_and_a_null_takes_away(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.shirt(shop, seller, shirts, description="Warm.", meta_title="Shirts")
    body = {"description": "Cold.", "meta_title": None, "attributes": {shirts["size"]: None, shirts["fabric"]: "felt"}}
    answer = goods.patch(shop, made, seller.header, body, Content_Type="application/merge-patch+json")
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert answer.headers["etag"] == '"2"'
    assert (after["description"], after["meta_title"], after["title"]) == ("Cold.", "", made["title"])
    assert after["attributes"] == {shirts["fabric"]: "felt"}
    assert after["category"] == made["category"]
    assert after["updated_at"] > made["updated_at"]
    assert goods.patch(shop, made, seller.header, {"attributes": None}).json()["attributes"] == {}


def test_a_put_sets_all_details_anew(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.shirt(shop, seller, shirts, description="Warm.")
    answer = shop.http.put(f"/products/{made['id']}", json={"title": made["title"]}, headers=seller.header)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["category"], after["description"], after["attributes"]) == (None, "", {})
    assert (after["slug"], after["version"]) == (made["slug"], 2)


@pytest.mark.parametrize(
    ("body", "status"), [(b"{}", 415), (b"[]", 400), (b'{"title": null}', 400), (b"nonsense", 400)]
)
def test_a_patch_that_is_none_is_refused(shop: Shop, seller: Seller, body: bytes, status: int):
    made = goods.product(shop, seller)
    kind = "text/plain" if status == 415 else "application/merge-patch+json"
    answer = shop.http.patch(f"/products/{made['id']}", content=body, headers=seller.header | {"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert looked_up(shop, made, seller.header).json() == made


def test_a_patch_that_changes_nothing_leaves_version_and_history(shop: Shop, seller: Seller):
    made = goods.product(shop, seller)
    answer = goods.patch(shop, made, seller.header, {"title": made["title"]})
    assert (answer.status_code, answer.json()) == (200, made)
    assert len(history(shop, made, seller.header)["items"]) == 1


def test_what_belongs_to_another_seller_is_a_404(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    other = goods.seller(shop)
    made = goods.active(shop, goods.shirt(shop, seller, shirts), seller)
    asked = [goods.patch(shop, made, other.header, {"title": "Mine"})]
    asked += [goods.step(shop, made, way, other.header) for way in ("submit", "activate", "deactivate", "archive")]
    asked.append(shop.http.put(f"/products/{made['id']}", json={"title": "Mine"}, headers=other.header))
    asked.append(shop.http.get(f"/products/{made['id']}/history", headers=other.header))
    for answer in asked:
        assert_problem(answer, 404, "not_found")
    assert looked_up(shop, made).json() == made


def test_a_draft_may_say_anything_and_what_was_submitted_may_not(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.shirt(shop, seller, shirts)
    assert goods.patch(shop, made, seller.header, {"attributes": {"nonsense": 1}}).status_code == 200
    assert_problem(goods.step(shop, made, "submit", seller.header), 422, "attribute_invalid", "attributes.nonsense")
    assert goods.patch(shop, made, seller.header, {"attributes": {"nonsense": None}}).status_code == 200
    goods.active(shop, made, seller)
    fabric = shirts["fabric"]
    answer = goods.patch(shop, made, seller.header, {"attributes": {fabric: None}})
    assert_problem(answer, 422, "attribute_invalid", f"attributes.{fabric}")
    answer = goods.patch(shop, made, seller.header, {"description": "Warmer.", "attributes": {fabric: "felt"}})
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert looked_up(shop, made).json()["attributes"][fabric] == "felt"


def test_a_category_changes_with_variants_only_where_they_are_made_alike(
    shop: Shop, seller: Seller, shirts: dict[str, Any]
):
    below = tree.category(shop, shirts)
    elsewhere = tree.category(shop)
    made = goods.shirt(shop, seller, shirts)
    variant = "INSERT INTO variants (id, product_id, attributes) VALUES ($1, $2, jsonb_build_object($3::text, 'S'))"
    shop.execute(variant, uuid4(), UUID(made["id"]), shirts["size"])
    answer = goods.patch(shop, made, seller.header, {"category_id": elsewhere["id"]})
    assert_problem(answer, 409, "conflict", "category_id")
    answer = goods.patch(shop, made, seller.header, {"category_id": below["id"]})
    assert (answer.status_code, answer.json()["category"]["id"]) == (200, below["id"])
