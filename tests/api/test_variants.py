"""Variants over HTTP: shown to those who may see them, changed by the product's seller."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from domain.accounts.model import Role
from infra.clock import new_id
from ops.goods import NewOffer
from tests.api import tree
from tests.api.shop import Shop, assert_problem, bearer, line, wait

ADMIN = bearer(Role.ADMIN)
EVENTS = "SELECT version, type, actor, correlation, data FROM events WHERE stream = $1 ORDER BY version"
BARCODE = "4006381333931"


def member(shop: Shop, seller_id: UUID) -> dict[str, str]:
    """The header of an account that acts for a seller."""
    return bearer(Role.SELLER, subject=shop.member(seller_id))


def stranger(shop: Shop) -> dict[str, str]:
    """The header of an account that acts for another seller."""
    seller = new_id()
    shop.execute("INSERT INTO sellers (id, name, status) VALUES ($1, 'Second Spring', 'approved')", seller)
    return member(shop, seller)


def look(shop: Shop, variant: UUID, who: dict[str, str] | None = None) -> httpx.Response:
    return shop.http.get(f"/variants/{variant}", headers=who or {})


def change(shop: Shop, variant: UUID, who: dict[str, str], body: dict[str, Any], **headers: str) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.patch(f"/variants/{variant}", json=body, headers=fields)


def order_of(shop: Shop, offer: NewOffer) -> httpx.Response:
    return shop.http.post("/orders", json={"currency": "USD", "lines": [line(offer)]}, headers=bearer() | wait())


# --- Shown ------------------------------------------------------------------------------------------------------


def test_anyone_sees_an_active_variant_of_an_active_product(shop: Shop):
    (offer,) = shop.offers()
    for who in (None, bearer(), stranger(shop)):
        answer = look(shop, offer.variant_id, who)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == '"1"'
        assert answer.json() == {
            "id": str(offer.variant_id),
            "product_id": str(offer.product_id),
            "attributes": {"colour": "red"},
            "active": True,
            "barcode": None,
            "weight_grams": None,
            "version": 1,
        }


@pytest.mark.parametrize(
    "hidden",
    [
        "UPDATE variants SET active = false WHERE product_id = $1",
        "UPDATE products SET status = 'inactive' WHERE id = $1",
        "UPDATE products SET status = 'draft' WHERE id = $1",
        "UPDATE products SET status = 'archived' WHERE id = $1",
    ],
)
def test_any_other_variant_is_seen_by_its_seller_and_admins_alone(shop: Shop, hidden: str):
    (offer,) = shop.offers()
    shop.execute(hidden, offer.product_id)
    for who in (None, bearer(), stranger(shop), bearer(Role.SELLER)):
        assert_problem(look(shop, offer.variant_id, who), 404, "not_found")
    for who in (ADMIN, member(shop, offer.seller_id)):
        assert look(shop, offer.variant_id, who).status_code == 200
    assert_problem(look(shop, new_id(), ADMIN), 404, "not_found")


# --- Changed ----------------------------------------------------------------------------------------------------


def test_what_is_named_changes_and_the_rest_stays(shop: Shop):
    (offer,) = shop.offers()
    account = shop.member(offer.seller_id)
    who = bearer(Role.SELLER, subject=account)
    answer = change(shop, offer.variant_id, who, {"barcode": BARCODE, "weight_grams": 250}, X_Request_ID="r2")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    view = change(shop, offer.variant_id, who, {"barcode": None}).json()
    assert (view["active"], view["barcode"], view["weight_grams"], view["version"]) == (True, None, 250, 3)
    for same in ({}, {"weight_grams": 250, "active": True}):
        answer = change(shop, offer.variant_id, who, same)
        assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    assert look(shop, offer.variant_id).json() == view
    rows = shop.fetch(EVENTS, offer.variant_id)
    assert [(row["version"], row["type"]) for row in rows] == [
        (1, "variant.created"),
        (2, "variant.changed"),
        (3, "variant.changed"),
    ]
    assert (rows[1]["actor"], rows[1]["correlation"]) == (account, "r2")


def test_a_deactivated_variant_is_not_sold_until_it_is_activated(shop: Shop):
    (offer,) = shop.offers()
    who = member(shop, offer.seller_id)
    assert change(shop, offer.variant_id, who, {"active": False}).status_code == 200
    assert_problem(order_of(shop, offer), 409, "offer_unavailable", "lines[0]")
    assert change(shop, offer.variant_id, who, {"active": True}).status_code == 200
    assert order_of(shop, offer).status_code == 200


def test_an_edit_of_a_version_that_is_gone_changes_nothing(shop: Shop):
    (offer,) = shop.offers()
    who = member(shop, offer.seller_id)
    assert change(shop, offer.variant_id, who, {"weight_grams": 1}, If_Match='"1"').status_code == 200
    answer = change(shop, offer.variant_id, who, {"weight_grams": 2}, If_Match='"1"')
    assert_problem(answer, 412, "stale_version", "If-Match")
    assert answer.headers["etag"] == '"2"'
    assert look(shop, offer.variant_id).json()["weight_grams"] == 1


def test_edits_at_once_follow_each_other(shop: Shop):
    (offer,) = shop.offers()
    who = member(shop, offer.seller_id)

    async def edit() -> list[int]:
        async with httpx.AsyncClient(verify=False, timeout=30) as client:
            path = f"/variants/{offer.variant_id}"
            answers = await asyncio.gather(
                *(client.patch(f"{shop.urls[n % 2]}{path}", json={"weight_grams": n}, headers=who) for n in range(1, 9))
            )
        return [answer.json()["version"] for answer in answers]

    assert sorted(asyncio.run(edit())) == list(range(2, 10))
    assert [row["version"] for row in shop.fetch(EVENTS, offer.variant_id)] == list(range(1, 10))


def test_a_variant_is_its_products_sellers(shop: Shop):
    (offer,) = shop.offers()
    body = {"weight_grams": 1}
    assert_problem(change(shop, offer.variant_id, {}, body), 401, "unauthenticated")
    for who in (bearer(), ADMIN, bearer(Role.SELLER)):
        assert_problem(change(shop, offer.variant_id, who, body), 403, "forbidden")
    assert_problem(change(shop, offer.variant_id, stranger(shop), body), 404, "not_found")
    assert_problem(change(shop, new_id(), member(shop, offer.seller_id), body), 404, "not_found")
    shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", offer.seller_id)
    assert_problem(change(shop, offer.variant_id, member(shop, offer.seller_id), body), 403, "forbidden")
    assert look(shop, offer.variant_id).json()["version"] == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"barcode": "4006381333930"}, "barcode"),
        ({"barcode": "123456789"}, "barcode"),
        ({"barcode": f"{BARCODE}\n"}, "barcode"),
        ({"barcode": "96385074\n"}, "barcode"),
        ({"barcode": ""}, "barcode"),
        ({"barcode": 4006381333931}, "barcode"),
        ({"weight_grams": -1}, "weight_grams"),
        ({"weight_grams": 1.5}, "weight_grams"),
        ({"weight_grams": 10**12}, "weight_grams"),
        ({"active": None}, "active"),
        ({"attributes": {"colour": "blue"}}, "attributes"),
        ({"product_id": str(new_id())}, "product_id"),
        ({"version": 9}, "version"),
    ],
)
def test_a_change_that_cannot_be_is_refused_with_its_place(shop: Shop, body: dict[str, Any], path: str):
    (offer,) = shop.offers()
    answer = change(shop, offer.variant_id, member(shop, offer.seller_id), body)
    assert_problem(answer, 400, "invalid_request", path)
    assert look(shop, offer.variant_id).json()["version"] == 1


# --- Made -------------------------------------------------------------------------------------------------------

NEW_PRODUCT = """
WITH taken AS (INSERT INTO product_slugs (slug, product_id) VALUES ($4, $1))
INSERT INTO products (id, seller_id, category_id, slug, attributes, title, status) VALUES ($1, $2, $3, $4, $5, 'T', $6)
"""
SET_ATTRIBUTES = "UPDATE products SET attributes = $2 WHERE id = $1"


class Draft:
    """A product of its own category, which asks for sizes and colours."""

    def __init__(self, shop: Shop, status: str = "draft", **values: list[str]) -> None:
        self.shop, self.id, self.seller_id = shop, new_id(), new_id()
        shop.execute("INSERT INTO sellers (id, name, status) VALUES ($1, 'Halyard', 'approved')", self.seller_id)
        self.account = shop.member(self.seller_id)
        self.who = bearer(Role.SELLER, subject=self.account)
        shelf = tree.category(shop)
        self.codes = {name: tree.a_code() for name in ("size", "colour")}
        choices = [str(n) for n in range(40)]
        for position, code in enumerate(self.codes.values()):
            making = {"kind": "choice", "choices": ["S", "M", "L", *choices], "variant_making": True}
            tree.assign(shop, shelf, tree.attribute(shop, code=code, **making), position=position)
        row = (self.id, self.seller_id, UUID(shelf["id"]), self.id.hex, self._json(values), status)
        shop.execute(NEW_PRODUCT, *row)

    def _json(self, values: dict[str, list[str]]) -> str:
        return msgspec.json.encode({self.codes.get(name, name): value for name, value in values.items()}).decode()

    def values(self, **values: Any) -> None:
        self.shop.execute(SET_ATTRIBUTES, self.id, self._json(values))

    def generate(self, who: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        fields = (self.who if who is None else who) | headers
        return self.shop.http.post(f"/products/{self.id}/variants/generate", headers=fields)

    def combinations(self, answer: httpx.Response, *, created: bool = False) -> list[tuple[str, ...]]:
        """The values of all variants that an answer lists, or of those that it says are new."""
        assert answer.status_code == 200, answer.text
        body = answer.json()
        shown = [item for item in body["items"] if not created or item["id"] in body["created"]]
        return [tuple(item["attributes"].values()) for item in shown]


def test_a_product_gets_a_variant_for_each_combination_once(shop: Shop):
    draft = Draft(shop, size=["S", "M"], colour=["L", "M"])
    first = draft.generate(**{"X-Request-ID": "r3"})
    assert draft.combinations(first) == [("S", "L"), ("S", "M"), ("M", "L"), ("M", "M")]
    assert draft.combinations(first, created=True) == draft.combinations(first)
    again = draft.generate()
    assert again.json() == {"items": first.json()["items"], "created": []}
    for item in first.json()["items"]:
        (event,) = shop.fetch(EVENTS, UUID(item["id"]))
        assert (event["version"], event["type"], event["actor"]) == (1, "variant.created", draft.account)
        assert event["correlation"] == "r3"


def test_a_value_added_later_makes_only_what_is_missing_and_one_taken_away_leaves_what_there_is(shop: Shop):
    draft = Draft(shop, size=["S"], colour=["L", "M"])
    first = draft.generate().json()["items"]
    draft.values(size=["S", "M"], colour=["M"])
    answer = draft.generate()
    assert draft.combinations(answer, created=True) == [("M", "M")]
    assert answer.json()["items"][:2] == first
    gone = first[0]["id"]
    assert change(shop, UUID(gone), draft.who, {"active": False}).json()["active"] is False


def test_a_product_without_variant_making_values_has_one_variant(shop: Shop):
    draft = Draft(shop)
    assert draft.combinations(draft.generate()) == [()]
    assert draft.combinations(draft.generate(), created=True) == []


def test_asking_from_many_sides_at_once_makes_each_combination_once(shop: Shop):
    draft = Draft(shop, size=["S", "M", "L"], colour=["S", "M", "L"])

    async def generate() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(verify=False, timeout=30) as client:
            path = f"/products/{draft.id}/variants/generate"
            answers = await asyncio.gather(
                *(client.post(f"{shop.urls[n % 2]}{path}", headers=draft.who) for n in range(10))
            )
        return [answer.json() for answer in answers]

    answers = asyncio.run(generate())
    assert sorted(len(answer["created"]) for answer in answers) == [0] * 9 + [9]
    assert all(answer["items"] == answers[0]["items"] for answer in answers)
    assert shop.value("SELECT count(*) FROM variants WHERE product_id = $1", draft.id) == 9


def test_a_product_of_too_many_variants_gets_none(shop: Shop):
    many = [str(n) for n in range(40)]
    draft = Draft(shop, size=many, colour=many)
    body = assert_problem(draft.generate(), 422, "too_many_variants")
    assert "1,600" in body["detail"]
    assert shop.value("SELECT count(*) FROM variants WHERE product_id = $1", draft.id) == 0


def test_what_a_deployment_allows_is_what_counts(make_shop: Any):
    shop = make_shop()
    shop.web(VARIANTS_MAX="3")
    draft = Draft(shop, size=["S", "M", "L"])
    assert len(draft.combinations(draft.generate())) == 3
    draft.values(size=["S", "M"], colour=["S", "M"])
    assert_problem(draft.generate(), 422, "too_many_variants")


def test_values_off_the_schema_make_no_variants(shop: Shop):
    draft = Draft(shop, size=["S", "XXL"])
    assert_problem(draft.generate(), 422, "attribute_invalid", f"attributes.{draft.codes['size']}")
    shop.execute("UPDATE products SET category_id = NULL WHERE id = $1", draft.id)
    assert_problem(draft.generate(), 422, "unknown_category", "category_id")


def test_variants_are_made_by_the_products_seller(shop: Shop):
    draft = Draft(shop, size=["S"])
    assert_problem(draft.generate({}), 401, "unauthenticated")
    for who in (bearer(), ADMIN, bearer(Role.SELLER)):
        assert_problem(draft.generate(who), 403, "forbidden")
    assert_problem(draft.generate(stranger(shop)), 404, "not_found")
    nowhere = shop.http.post(f"/products/{new_id()}/variants/generate", headers=draft.who)
    assert_problem(nowhere, 404, "not_found")
    assert shop.value("SELECT count(*) FROM variants WHERE product_id = $1", draft.id) == 0


def test_variants_of_an_archived_product_stay_as_they_are(shop: Shop):
    draft = Draft(shop, size=["S"])
    (item,) = draft.generate().json()["items"]
    shop.execute("UPDATE products SET status = 'archived' WHERE id = $1", draft.id)
    draft.values(size=["S", "M"])
    assert_problem(draft.generate(), 409, "product_state")
    assert_problem(change(shop, UUID(item["id"]), draft.who, {"active": False}), 409, "product_state")


def test_a_list_follows_the_variants_of_its_products(shop: Shop):
    (offer,) = shop.offers()
    listed = "SELECT currency, tokens FROM listings WHERE product_id = $1 ORDER BY currency"
    tokens = ["colour=red"]
    assert [tuple(row) for row in shop.fetch(listed, offer.product_id)] == [("", tokens), ("USD", tokens)]
    assert change(shop, offer.variant_id, member(shop, offer.seller_id), {"active": False}).status_code == 200
    assert [row["currency"] for row in shop.fetch(listed, offer.product_id)] == [""]
