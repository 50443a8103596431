"""What products and variants rely on is not taken from them: categories, attributes, choices."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.api.shop import Shop, assert_nothing_written, assert_problem
from tests.api.tree import ADMIN, assign, attribute, category, chain, move
from tests.system import eventually

SIZES = {"kind": "choice", "choices": ["S", "M", "L"]}


def product(shop: Shop, of: dict[str, Any], attributes: dict[str, Any], variant: dict[str, Any] | None = None) -> UUID:
    """Write a product of a category with one variant."""
    (offer,) = shop.offers()
    shop.execute(
        "UPDATE products SET category_id = $2, attributes = $3 WHERE id = $1",
        *(offer.product_id, of["id"], json.dumps(attributes)),
    )
    shop.execute("UPDATE variants SET attributes = $2 WHERE id = $1", offer.variant_id, json.dumps(variant or {}))
    return offer.product_id


def edit(shop: Shop, made: dict[str, Any], **changes: object) -> Any:
    fields = ("code", "name", "kind", "unit", "required", "choices", "variant_making")
    body = {**{field: made[field] for field in fields}, **changes}
    return shop.http.put(f"/attributes/{made['id']}", json=body, headers=ADMIN)


def unassign(shop: Shop, of: dict[str, Any], what: dict[str, Any]) -> Any:
    return shop.http.delete(f"/categories/{of['id']}/attributes/{what['id']}", headers=ADMIN)


def test_a_category_with_products_isnt_deleted(shop: Shop):
    shelf = category(shop)
    product(shop, shelf, {})
    before = shop.counts()
    answer = shop.http.delete(f"/categories/{shelf['id']}", headers=ADMIN)
    assert assert_problem(answer, 409, "category_in_use")["detail"] == "it has 1 product"
    assert_nothing_written(before, shop.counts())


def test_a_choice_that_products_or_variants_have_stays_and_the_refusal_counts_them(shop: Shop):
    root, shelf = chain(shop, 2)
    size = attribute(shop, root, variant_making=True, **SIZES)
    for variant in ("S", "M"):
        product(shop, shelf, {size["code"]: ["S", "M"]}, {size["code"]: variant})
    before = shop.counts()
    problem = assert_problem(edit(shop, size, choices=["M", "L"]), 409, "attribute_in_use", "choices")
    assert problem["detail"] == "2 products and 1 variant have choices that would go (S)"
    assert_nothing_written(before, shop.counts())
    assert edit(shop, size, choices=["XL", "S", "M"]).status_code == 200, "nobody has L"


@pytest.mark.parametrize(("kind", "value"), [("choice", "S"), ("multi_choice", ["M", "S"])])
def test_a_choice_of_any_kind_that_a_product_has_stays(shop: Shop, kind: str, value: object):
    shelf = category(shop)
    made = attribute(shop, shelf, kind=kind, choices=["S", "M", "L"])
    product(shop, shelf, {made["code"]: value})
    assert_problem(edit(shop, made, choices=["M", "L"]), 409, "attribute_in_use", "choices")
    assert edit(shop, made, choices=["M", "S"]).status_code == 200


def test_a_choice_that_only_others_categories_products_have_may_go(shop: Shop):
    shelf, beside = category(shop), category(shop)
    made = attribute(shop, shelf, **SIZES)
    product(shop, beside, {made["code"]: "S"})
    assert edit(shop, made, choices=["M"]).status_code == 200, "beside, nobody asks for it"


def test_the_unit_of_values_stays(shop: Shop):
    shelf = category(shop)
    weight = attribute(shop, shelf, kind="number", unit="kg")
    assert edit(shop, weight, unit="g").status_code == 200, "no product has a value yet"
    product(shop, shelf, {weight["code"]: 5})
    assert_problem(edit(shop, weight, unit="kg"), 409, "attribute_in_use", "unit")


def test_an_attribute_that_products_have_is_neither_unassigned_nor_deleted(shop: Shop):
    root, shelf = chain(shop, 2)
    weight, size = attribute(shop, root, kind="number"), attribute(shop, root, variant_making=True, **SIZES)
    product(shop, shelf, {weight["code"]: 5})
    product(shop, shelf, {}, {size["code"]: "S"})
    before = shop.counts()
    for made in (weight, size):
        problem = assert_problem(unassign(shop, root, made), 409, "attribute_in_use")
        assert problem["detail"] == f"1 product has values for what the category would ask for no more: {made['code']}"
        assert_problem(shop.http.delete(f"/attributes/{made['id']}", headers=ADMIN), 409, "attribute_in_use")
    assert_nothing_written(before, shop.counts())


def test_an_attribute_that_is_asked_for_elsewhere_on_the_way_may_be_unassigned(shop: Shop):
    root, shelf = chain(shop, 2)
    weight = attribute(shop, root, shelf, kind="number")
    product(shop, shelf, {weight["code"]: 5})
    assert unassign(shop, root, weight).status_code == 204, "the shelf still asks for it"
    assert_problem(unassign(shop, shelf, weight), 409, "attribute_in_use")
    assign(shop, root, weight)
    assert unassign(shop, shelf, weight).status_code == 204, "now the root does"


def test_a_move_takes_no_attribute_from_products_that_have_values(shop: Shop):
    root, shelf, box = chain(shop, 3)
    target = category(shop)
    weight, brand = attribute(shop, root, kind="number"), attribute(shop, root)
    product(shop, box, {weight["code"]: 5, brand["code"]: "x"})
    assign(shop, target, brand)
    before = shop.counts()
    problem = assert_problem(move(shop, shelf, target), 409, "attribute_in_use")
    assert problem["detail"].endswith(f": {weight['code']}"), "the target asks for the brand"
    assert_problem(move(shop, shelf, None), 409, "attribute_in_use")
    assert_nothing_written(before, shop.counts())
    assign(shop, box, weight)
    assert move(shop, shelf, target).status_code == 200, "the box asks by itself"


def test_a_choice_doesnt_go_while_a_product_gets_it(shop: Shop):
    """Who writes values holds the tree: an edit that comes meanwhile waits, then counts them."""
    shelf = category(shop)
    made = attribute(shop, shelf, **SIZES)
    written = product(shop, shelf, {})
    values = json.dumps({made["code"]: "S"})
    with ThreadPoolExecutor(1) as edits:
        shop.execute("BEGIN")
        try:
            shop.hold_tree()
            waiting = edits.submit(edit, shop, made, choices=["M"])
            eventually(lambda: shop.value("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0)
            shop.execute("UPDATE products SET attributes = $2 WHERE id = $1", written, values)
        finally:
            shop.execute("COMMIT")
        assert_problem(waiting.result(), 409, "attribute_in_use", "choices")
