"""Attributes over HTTP: their kinds, who asks for them, what they settle, and schemas."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import jsonschema
import msgspec
import pytest

from domain.catalog.schema import ATTRIBUTES_MAX
from tests.api.shop import Shop, assert_nothing_written, assert_problem
from tests.api.tree import ADMIN, a_code, assign, attribute, category, chain, events, get, move

SIZES = {"kind": "choice", "choices": ["S", "M"]}


def schema(shop: Shop, of: dict[str, Any]) -> list[dict[str, Any]]:
    answer = shop.http.get(f"/categories/{of['id']}/schema")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["category_id"] == of["id"]
    attributes: list[dict[str, Any]] = found["attributes"]
    return attributes


def full(made: dict[str, Any], **changes: object) -> dict[str, Any]:
    """The body that says of an attribute what it is, but for some changes."""
    fields = ("code", "name", "kind", "unit", "required", "choices", "variant_making")
    return {**{field: made[field] for field in fields}, **changes}


def edit(shop: Shop, made: dict[str, Any], **changes: object) -> Any:
    return shop.http.put(f"/attributes/{made['id']}", json=full(made, **changes), headers=ADMIN)


def test_an_attribute_is_shown_as_it_was_made(shop: Shop):
    body = {"code": a_code(), "name": "Größe", "kind": "choice", "unit": "EU", "choices": ["S", "M"]}
    answer = shop.http.post("/attributes", json={**body, "variant_making": True, "required": True}, headers=ADMIN)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/attributes/{made['id']}"
    assert made == {
        **body,
        "variant_making": True,
        "required": True,
        "categories": 0,
        "version": 1,
        "id": made["id"],
        "created_at": made["created_at"],
    }
    shown = shop.http.get(f"/attributes/{made['id']}")
    assert shown.json() == made
    assert shown.headers["etag"] == '"1"'
    (event,) = shop.fetch("SELECT type, data FROM events WHERE stream = $1", made["id"])
    assert event["type"] == "attribute.created"
    assert msgspec.json.decode(event["data"]) == full(made)


@pytest.mark.parametrize("kind", ["text", "number", "boolean", "date"])
def test_an_attribute_of_a_simple_kind_has_no_choices(shop: Shop, kind: str):
    made = attribute(shop, kind=kind)
    assert (made["choices"], made["unit"], made["required"], made["variant_making"]) == ([], None, False, False)


BAD_BODIES = {
    "no kind": ({"kind": None}, "kind"),
    "an unknown kind": ({"kind": "colour"}, "kind"),
    "a code with capitals": ({"code": "Size"}, "code"),
    "a code with a dash": ({"code": "a-b"}, "code"),
    "a code that begins with a digit": ({"code": "1a"}, "code"),
    "a code with a final line break": ({"code": "size\n"}, "code"),
    "an empty code": ({"code": ""}, "code"),
    "a code too long": ({"code": "x" * 51}, "code"),
    "a blank name": ({"name": "  "}, "name"),
    "an empty unit": ({"unit": ""}, "unit"),
    "choices of a text": ({"choices": ["S"]}, "choices"),
    "a choice without choices": ({"kind": "choice"}, "choices"),
    "a multi-choice without choices": ({"kind": "multi_choice"}, "choices"),
    "the same choice twice": ({"kind": "choice", "choices": ["S", "M", "S"]}, "choices[2]"),
    "an empty choice": ({"kind": "choice", "choices": ["S", ""]}, "choices[1]"),
    "a choice too long": ({"kind": "choice", "choices": ["x" * 101]}, "choices[0]"),
    "too many choices": ({"kind": "choice", "choices": [str(n) for n in range(501)]}, "choices"),
    "a text that makes variants": ({"variant_making": True}, "variant_making"),
    "a multi-choice that makes variants": (
        {"kind": "multi_choice", "choices": ["S"], "variant_making": True},
        "variant_making",
    ),
    "a version of its own": ({"version": 7}, "version"),
}


@pytest.mark.parametrize(("changes", "path"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_no_attribute_is_a_400_and_writes_nothing(shop: Shop, changes: dict[str, Any], path: str):
    made = attribute(shop)
    before = shop.counts()
    body = {"code": a_code(), "name": "A", "kind": "text", **changes}
    assert_problem(shop.http.post("/attributes", json=body, headers=ADMIN), 400, "invalid_request", path)
    answer = shop.http.put(f"/attributes/{made['id']}", json=body, headers=ADMIN)
    assert_problem(answer, 400, "invalid_request", path)
    assert_nothing_written(before, shop.counts())


def test_a_code_belongs_to_one_attribute(shop: Shop):
    first, second = attribute(shop), attribute(shop)
    before = shop.counts()
    body = full(first)
    assert_problem(shop.http.post("/attributes", json=body, headers=ADMIN), 409, "duplicate_code", "code")
    assert_problem(edit(shop, second, code=first["code"]), 409, "duplicate_code", "code")
    assert_nothing_written(before, shop.counts())


def test_a_code_sent_many_times_at_once_makes_one_attribute(shop: Shop):
    body = {"code": a_code(), "name": "A", "kind": "text"}

    def make(n: int) -> int:
        return shop.clients[n % 2].post("/attributes", json=body, headers=ADMIN).status_code

    with ThreadPoolExecutor(8) as at_once:
        assert sorted(at_once.map(make, range(8))) == [201] + [409] * 7


def test_attributes_are_listed_by_code_over_any_pages(shop: Shop):
    made = {attribute(shop)["code"] for _ in range(3)}
    for limit in (2, 200):
        codes: list[str] = []
        cursor: dict[str, object] = {}
        while True:
            page = shop.http.get("/attributes", params={"limit": limit, **cursor}).json()
            codes += [item["code"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(codes) == len(set(codes))
        assert made <= set(codes)
    assert_problem(shop.http.get("/attributes", params={"cursor": "socks"}), 400, "invalid_request", "cursor")


def test_an_attribute_that_isnt_there_is_a_404(shop: Shop):
    shelf, nowhere = category(shop), str(uuid4())
    assert_problem(shop.http.get(f"/attributes/{nowhere}"), 404, "not_found")
    assert_problem(edit(shop, {**attribute(shop), "id": nowhere}), 404, "not_found")
    assert_problem(shop.http.delete(f"/attributes/{nowhere}", headers=ADMIN), 404, "not_found")
    where = f"/categories/{shelf['id']}/attributes/{nowhere}"
    assert_problem(shop.http.put(where, json={}, headers=ADMIN), 404, "not_found")
    assert_problem(shop.http.delete(where, headers=ADMIN), 404, "not_found")


def test_an_attribute_nobody_asks_for_may_become_any_other(shop: Shop):
    made = attribute(shop)
    changed = edit(shop, made, code=a_code(), name="B", kind="choice", choices=["S"], variant_making=True, unit="cm")
    assert changed.status_code == 200
    assert changed.headers["etag"] == '"2"'
    assert changed.json() == {**full(changed.json()), **made, **full(changed.json()), "version": 2}
    assert events(shop, made) == [(1, "attribute.created"), (2, "attribute.changed")]


def test_the_same_again_makes_no_new_version(shop: Shop):
    made = attribute(shop, **SIZES)
    assert edit(shop, made).json() == made
    assert events(shop, made) == [(1, "attribute.created")]


def test_an_edit_of_a_version_that_is_gone_is_a_412(shop: Shop):
    made = attribute(shop)
    assert edit(shop, made, name="B").status_code == 200
    stale = {**ADMIN, "If-Match": '"1"'}
    where = f"/attributes/{made['id']}"
    answer = shop.http.put(where, json=full(made, name="C"), headers=stale)
    assert_problem(answer, 412, "stale_version", "If-Match")
    assert_problem(shop.http.delete(where, headers=stale), 412, "stale_version", "If-Match")
    assert get(shop, made, "attributes")["name"] == "B"


SETTLED = {
    "code": {"code": "another_code"},
    "kind": {"kind": "multi_choice"},
    "variant_making": {"variant_making": True},
}


@pytest.mark.parametrize("field", SETTLED)
def test_what_values_mean_is_settled_once_a_category_asks(shop: Shop, field: str):
    made = attribute(shop, category(shop), **SIZES)
    problem = assert_problem(edit(shop, made, **SETTLED[field]), 409, "attribute_in_use", field)
    assert "1 category asks for it" in problem["detail"]
    assert events(shop, made) == [(1, "attribute.created")]


def test_choices_are_added_and_the_rest_is_edited_though_a_category_asks(shop: Shop):
    made = attribute(shop, category(shop), **SIZES)
    changed = edit(shop, made, choices=["L", "M", "S"], name="Sizes", required=True, unit="EU")
    assert changed.status_code == 200
    assert changed.json()["choices"] == ["L", "M", "S"]


def test_an_attribute_nobody_uses_is_deleted(shop: Shop):
    made = attribute(shop)
    assert shop.http.delete(f"/attributes/{made['id']}", headers=ADMIN).status_code == 204
    assert_problem(shop.http.get(f"/attributes/{made['id']}"), 404, "not_found")
    assert shop.value("SELECT count(*) FROM attributes WHERE id = $1", made["id"]) == 0
    assert events(shop, made) == [(1, "attribute.created"), (2, "attribute.deleted")]


def test_an_attribute_a_category_asks_for_isnt_deleted(shop: Shop):
    shelf = category(shop)
    made = attribute(shop, shelf)
    answer = shop.http.delete(f"/attributes/{made['id']}", headers=ADMIN)
    assert_problem(answer, 409, "attribute_in_use")
    assert shop.http.delete(f"/categories/{shelf['id']}/attributes/{made['id']}", headers=ADMIN).status_code == 204
    assert shop.http.delete(f"/attributes/{made['id']}", headers=ADMIN).status_code == 204


def test_assigning_is_told_once_however_often_it_is_said(shop: Shop):
    shelf, made = category(shop), attribute(shop)
    first = assign(shop, shelf, made, required=True, position=2)
    assert first["attributes"] == [{"attribute_id": made["id"], "code": made["code"], "required": True, "position": 2}]
    assert first["version"] == 2
    assert assign(shop, shelf, made, required=True, position=2) == first
    assert assign(shop, shelf, made)["attributes"][0]["required"] is None
    assert shop.http.delete(f"/categories/{shelf['id']}/attributes/{made['id']}", headers=ADMIN).status_code == 204
    again = shop.http.delete(f"/categories/{shelf['id']}/attributes/{made['id']}", headers=ADMIN)
    assert_problem(again, 404, "not_found")
    assert events(shop, shelf)[1:] == [
        (2, "category.attribute_assigned"),
        (3, "category.attribute_assigned"),
        (4, "category.attribute_unassigned"),
    ]
    assert get(shop, made, "attributes")["categories"] == 0


def test_assigning_needs_no_body(shop: Shop):
    shelf, made = category(shop), attribute(shop)
    answer = shop.http.put(f"/categories/{shelf['id']}/attributes/{made['id']}", headers=ADMIN)
    assert answer.status_code == 200
    assert answer.json()["attributes"][0] == {
        "attribute_id": made["id"],
        "code": made["code"],
        "required": None,
        "position": 0,
    }


def test_a_schema_has_what_is_inherited_and_where_from(shop: Shop):
    root, shelf, box = chain(shop, 3)
    brand = attribute(shop, root, required=True)
    size = attribute(shop, shelf, **SIZES)
    assign(shop, box, brand, required=False, position=9)
    assert [(a["code"], a["required"], a["inherited_from"]) for a in schema(shop, shelf)] == sorted(
        [(brand["code"], True, root["id"]), (size["code"], False, None)]
    )
    assert [(a["code"], a["required"], a["inherited_from"]) for a in schema(shop, box)] == [
        (size["code"], False, shelf["id"]),
        (brand["code"], False, None),
    ]
    assert schema(shop, category(shop)) == []


def test_a_schema_follows_its_category_when_that_moves(shop: Shop):
    root, other = category(shop), category(shop)
    shelf = category(shop, root)
    brand, size = attribute(shop, root), attribute(shop, other)
    assert [a["code"] for a in schema(shop, shelf)] == [brand["code"]]
    assert move(shop, shelf, other).status_code == 200
    assert [a["code"] for a in schema(shop, shelf)] == [size["code"]]


def test_a_schema_is_a_json_schema_for_who_accepts_that(shop: Shop):
    shelf = category(shop)
    weight = attribute(shop, shelf, kind="number", unit="kg", required=True)["code"]
    size = attribute(shop, shelf, variant_making=True, **SIZES)["code"]
    accept = {"Accept": "application/schema+json, application/json;q=0.5"}
    answer = shop.http.get(f"/categories/{shelf['id']}/schema", headers=accept)
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["vary"] == "Accept"
    described = answer.json()
    assert described["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(described)
    validator = jsonschema.Draft202012Validator(described)
    assert validator.is_valid({weight: 1.5, size: ["S", "M"]})
    assert not validator.is_valid({size: ["S"]})
    assert not validator.is_valid({weight: "1.5"})
    assert not validator.is_valid({weight: 1, "unheard_of": 1})


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "nonsense;;", ""])
def test_a_schema_is_json_for_everybody_else(shop: Shop, accept: str):
    answer = shop.http.get(f"/categories/{category(shop)['id']}/schema", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"


def test_a_schema_has_a_hundred_attributes_at_most_wherever_they_come_from(shop: Shop):
    root, other = category(shop), category(shop)
    shelf = category(shop, root)
    shop.execute(
        "INSERT INTO attributes (id, code, name, kind)"
        " SELECT gen_random_uuid(), $1 || n, 'Many', 'text' FROM generate_series(1, $2) AS n",
        f"{a_code()}_",
        ATTRIBUTES_MAX,
    )
    many = (
        "INSERT INTO category_attributes (category_id, attribute_id) SELECT $1, id FROM attributes WHERE name = 'Many'"
    )
    shop.execute(many, other["id"])
    shop.execute(f"{many} LIMIT $2", shelf["id"], ATTRIBUTES_MAX - 1)
    brand, size = attribute(shop, root), attribute(shop)
    before = shop.counts()
    answer = shop.http.put(f"/categories/{root['id']}/attributes/{size['id']}", headers=ADMIN)
    problem = assert_problem(answer, 409, "conflict")
    assert "101" in problem["detail"], "below it, there would be one too many"
    assert_problem(shop.http.put(f"/categories/{other['id']}/attributes/{size['id']}", headers=ADMIN), 409, "conflict")
    assert_problem(move(shop, root, other), 409, "conflict")
    assert_nothing_written(before, shop.counts())
    assert shop.http.put(f"/categories/{shelf['id']}/attributes/{brand['id']}", headers=ADMIN).status_code == 200
    assert move(shop, shelf, other).status_code == 409
    assert shop.http.delete(f"/categories/{shelf['id']}/attributes/{brand['id']}", headers=ADMIN).status_code == 204
    assert move(shop, shelf, other).status_code == 200, "the same attributes count once"
