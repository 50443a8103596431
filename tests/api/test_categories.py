"""Categories over HTTP: the tree, its pages, moves, and what it refuses."""

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from domain.accounts.model import Role
from domain.catalog.taxonomy import DEPTH_MAX
from tests.api.shop import Shop, assert_nothing_written, assert_problem, bearer
from tests.api.tree import ADMIN, a_name, attribute, category, chain, events, get, move


def ids(page: dict[str, Any]) -> list[str]:
    return [item["id"] for item in page["items"]]


def all_pages(shop: Shop, limit: int, **params: object) -> list[str]:
    """The ids of all pages, in their order."""
    found: list[str] = []
    cursor: dict[str, object] = {}
    while True:
        answer = shop.http.get("/categories", params={"limit": limit, **params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        found += ids(page)
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_a_category_is_shown_with_its_way_from_the_root(shop: Shop):
    root = category(shop, name="Küche & Haus " + uuid4().hex)
    shelf = category(shop, root, position=3)
    answer = shop.http.get(f"/categories/{shelf['id']}")
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'
    found = answer.json()
    assert found == shelf
    assert found["path"] == [{key: one[key] for key in ("id", "name", "slug")} for one in (root, shelf)]
    assert (found["parent_id"], found["depth"], found["position"], found["children"]) == (root["id"], 2, 3, 0)
    assert found["attributes"] == []
    assert get(shop, root)["children"] == 1
    assert root["slug"] == "kuche-haus-" + root["name"].rpartition(" ")[2]


def test_a_category_is_made_with_its_event_and_says_where_it_is(shop: Shop):
    admin = uuid4()
    name = a_name()
    headers = {**bearer(Role.ADMIN, subject=admin), "X-Request-ID": "make-a-shelf"}
    answer = shop.http.post("/categories", json={"name": name}, headers=headers)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/categories/{made['id']}"
    (event,) = shop.fetch("SELECT type, version, data, actor, correlation FROM events WHERE stream = $1", made["id"])
    assert (event["type"], event["version"], event["actor"]) == ("category.created", 1, admin)
    assert event["correlation"] == "make-a-shelf"
    data = msgspec.json.decode(event["data"])
    assert data == {"name": name, "slug": made["slug"], "parent_id": None, "position": 0}


def test_children_come_by_position_then_by_name_over_any_pages(shop: Shop):
    root = category(shop)
    places = [(1, "b"), (0, "z"), (1, "a"), (0, "a"), (1, "a")]
    made = [category(shop, root, name=name, position=position) for position, name in places]
    expected = [c["id"] for c in sorted(made, key=lambda c: (c["position"], c["name"], c["id"]))]
    for limit in (1, 2, 50):
        assert all_pages(shop, limit, parent=root["id"]) == expected
    assert all_pages(shop, 50, parent=made[0]["id"]) == []
    assert all_pages(shop, 50, parent=str(uuid4())) == []


def test_roots_and_all_categories_are_pages_too(shop: Shop):
    first, below = chain(shop, 2)
    second = category(shop)
    roots = all_pages(shop, 7, parent="root")
    assert {first["id"], second["id"]} <= set(roots)
    assert below["id"] not in roots
    assert len(roots) == len(set(roots))
    every = all_pages(shop, 7)
    assert every == sorted(every), "in the order they were made"
    assert [c for c in every if c in {first["id"], below["id"], second["id"]}] == [
        first["id"],
        below["id"],
        second["id"],
    ]


def a_cursor(*key: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


ROOTS = {"parent": "root"}
BAD_QUERIES = {
    "a parent that is no id": ({"parent": "top"}, "parent"),
    "a parent with a NUL": ({"parent": "a\0b"}, "parent"),
    "a cursor of nobody's": ({"cursor": "socks"}, "cursor"),
    "a cursor of other pages": ({**ROOTS, "cursor": a_cursor(uuid4())}, "cursor"),
    "a cursor with a huge position": ({**ROOTS, "cursor": a_cursor(2**40, "a", uuid4())}, "cursor"),
    "a cursor with a NUL": ({**ROOTS, "cursor": a_cursor(0, "a\0", uuid4())}, "cursor"),
    "a cursor with more in it": ({**ROOTS, "cursor": a_cursor(0, "a", uuid4(), 1)}, "cursor"),
    "no limit at all": ({"limit": 0}, "limit"),
    "a limit over the largest": ({"limit": 201}, "limit"),
}


@pytest.mark.parametrize(("params", "path"), BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_a_query_that_makes_no_sense_is_a_400(shop: Shop, params: dict[str, object], path: str):
    assert_problem(shop.http.get("/categories", params=params), 400, "invalid_request", path)


def test_a_category_that_isnt_there_is_a_404(shop: Shop):
    nowhere = f"/categories/{uuid4()}"
    for path in (nowhere, f"{nowhere}/schema"):
        assert_problem(shop.http.get(path), 404, "not_found")
    calls = [
        shop.http.put(nowhere, json={"name": "x"}, headers=ADMIN),
        shop.http.post(f"{nowhere}/move", json={"parent_id": None}, headers=ADMIN),
        shop.http.delete(nowhere, headers=ADMIN),
        shop.http.put(f"{nowhere}/attributes/{attribute(shop)['id']}", json={}, headers=ADMIN),
        shop.http.delete(f"{nowhere}/attributes/{uuid4()}", headers=ADMIN),
    ]
    for answer in calls:
        assert_problem(answer, 404, "not_found")
    assert_problem(shop.http.get("/categories/socks"), 404, "not_found")


WRITES = [
    ("POST", "/categories"),
    ("PUT", "/categories/{id}"),
    ("POST", "/categories/{id}/move"),
    ("DELETE", "/categories/{id}"),
    ("PUT", "/categories/{id}/attributes/{id}"),
    ("DELETE", "/categories/{id}/attributes/{id}"),
    ("POST", "/attributes"),
    ("PUT", "/attributes/{id}"),
    ("DELETE", "/attributes/{id}"),
]


@pytest.mark.parametrize(("method", "path"), WRITES, ids=[" ".join(write) for write in WRITES])
def test_only_an_admin_edits_the_taxonomy(shop: Shop, method: str, path: str):
    where = path.replace("{id}", category(shop)["id"])
    before = shop.counts()
    body = {"name": "x", "parent_id": None}
    assert_problem(shop.http.request(method, where, json=body), 401, "unauthenticated")
    for roles in ((Role.BUYER,), (Role.SELLER,), (Role.GUEST,)):
        assert_problem(shop.http.request(method, where, json=body, headers=bearer(*roles)), 403, "forbidden")
    assert_nothing_written(before, shop.counts())


def test_anyone_reads_the_taxonomy_and_a_token_that_is_none_is_refused(shop: Shop):
    shelf = category(shop)
    for path in ("/categories", f"/categories/{shelf['id']}", f"/categories/{shelf['id']}/schema", "/attributes"):
        assert shop.http.get(path).status_code == 200
        assert shop.http.get(path, headers=bearer(Role.BUYER)).status_code == 200
        bad = {"Authorization": "Bearer nonsense"}
        assert_problem(shop.http.get(path, headers=bad), 401, "unauthenticated")


BAD_BODIES = {
    "no name": ({}, "name"),
    "an empty name": ({"name": ""}, "name"),
    "a blank name": ({"name": " \t\n"}, "name"),
    "a name too long": ({"name": "x" * 201}, "name"),
    "a name with a NUL": ({"name": "a\0b"}, "name"),
    "a parent that is no id": ({"name": "x", "parent_id": "root"}, "parent_id"),
    "a slug with capitals": ({"name": "x", "slug": "Shelf"}, "slug"),
    "a slug with a final line break": ({"name": "x", "slug": "shelf\n"}, "slug"),
    "an empty slug": ({"name": "x", "slug": ""}, "slug"),
    "a slug too long": ({"name": "x", "slug": "x" * 101}, "slug"),
    "a position below zero": ({"name": "x", "position": -1}, "position"),
    "a position over 32 bits": ({"name": "x", "position": 2**31}, "position"),
    "an id of its own": ({"name": "x", "id": str(uuid4())}, "id"),
    "a path of its own": ({"name": "x", "path": []}, "path"),
}


@pytest.mark.parametrize(("body", "path"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_no_category_is_a_400_and_writes_nothing(shop: Shop, body: dict[str, Any], path: str):
    before = shop.counts()
    assert_problem(shop.http.post("/categories", json=body, headers=ADMIN), 400, "invalid_request", path)
    assert_nothing_written(before, shop.counts())


def test_a_parent_that_isnt_there_is_a_422(shop: Shop):
    before = shop.counts()
    body = {"name": "x", "parent_id": str(uuid4())}
    assert_problem(shop.http.post("/categories", json=body, headers=ADMIN), 422, "unknown_category", "parent_id")
    assert_nothing_written(before, shop.counts())


def test_a_slug_that_is_taken_is_numbered_or_refused_when_asked_for(shop: Shop):
    name = a_name()
    first, second, third = (category(shop, name=name) for _ in range(3))
    assert (second["slug"], third["slug"]) == (f"{first['slug']}-2", f"{first['slug']}-3")
    wish = {"name": name, "slug": first["slug"]}
    before = shop.counts()
    assert_problem(shop.http.post("/categories", json=wish, headers=ADMIN), 409, "duplicate_slug", "slug")
    answer = shop.http.put(f"/categories/{second['id']}", json=wish, headers=ADMIN)
    assert_problem(answer, 409, "duplicate_slug", "slug")
    assert_nothing_written(before, shop.counts())


def test_a_name_without_a_letter_still_makes_a_slug(shop: Shop):
    first, second = (category(shop, name="¿?!") for _ in range(2))
    assert first["slug"] != second["slug"]
    assert {c["slug"].partition("-")[0] for c in (first, second)} == {"untitled"}


def test_renaming_keeps_the_slug_unless_another_one_is_given(shop: Shop):
    shelf = category(shop)
    where = f"/categories/{shelf['id']}"
    renamed = shop.http.put(where, json={"name": "Another name"}, headers=ADMIN)
    assert renamed.status_code == 200
    assert renamed.headers["etag"] == '"2"'
    assert renamed.json() == {
        **shelf,
        "name": "Another name",
        "version": 2,
        "path": [{"id": shelf["id"], "name": "Another name", "slug": shelf["slug"]}],
    }
    slug = f"other-{uuid4().hex}"
    assert shop.http.put(where, json={"name": "Another name", "slug": slug}, headers=ADMIN).json()["slug"] == slug
    assert events(shop, shelf) == [(1, "category.created"), (2, "category.changed"), (3, "category.changed")]


def test_the_same_again_makes_no_new_version(shop: Shop):
    root, shelf = chain(shop, 2)
    same = {"name": shelf["name"], "slug": shelf["slug"]}
    assert shop.http.put(f"/categories/{shelf['id']}", json=same, headers=ADMIN).json() == shelf
    assert move(shop, shelf, root).json() == shelf
    assert events(shop, shelf) == [(1, "category.created")]


def test_an_edit_of_a_version_that_is_gone_is_a_412(shop: Shop):
    shelf = category(shop)
    where = f"/categories/{shelf['id']}"
    stale = {**ADMIN, "If-Match": '"1"'}
    assert shop.http.put(where, json={"name": "Second"}, headers=stale).status_code == 200
    before = shop.counts()
    answers = [
        shop.http.put(where, json={"name": "Third"}, headers=stale),
        shop.http.post(f"{where}/move", json={"parent_id": None, "position": 9}, headers=stale),
        shop.http.delete(where, headers=stale),
        shop.http.put(f"{where}/attributes/{attribute(shop)['id']}", json={}, headers=stale),
    ]
    for answer in answers:
        assert_problem(answer, 412, "stale_version", "If-Match")
        assert answer.headers["etag"] == '"2"'
    assert_nothing_written(before, shop.counts(), but=["events"])
    assert len(events(shop, shelf)) == 2


def test_two_editors_of_one_version_leave_one_edit(shop: Shop):
    """Over two processes, again and again."""

    def edit(n: int, shelf: dict[str, Any], version: int) -> int:
        headers = {**ADMIN, "If-Match": f'"{version}"'}
        body = {"name": f"By {n} on {version}"}
        return shop.clients[n].put(f"/categories/{shelf['id']}", json=body, headers=headers).status_code

    shelf = category(shop)
    with ThreadPoolExecutor(2) as at_once:
        for version in range(1, 21):
            assert sorted(at_once.map(edit, (0, 1), (shelf, shelf), (version, version))) == [200, 412]
    assert [number for number, _ in events(shop, shelf)] == list(range(1, 22))


def test_a_category_moves_with_all_below_it(shop: Shop):
    root, shelf, box, bag = chain(shop, 4)
    target = category(shop)
    moved = move(shop, shelf, target, position=7)
    assert moved.status_code == 200
    found = moved.json()
    assert (found["parent_id"], found["depth"], found["position"], found["version"]) == (target["id"], 2, 7, 2)
    assert [c["id"] for c in get(shop, bag)["path"]] == [c["id"] for c in (target, shelf, box, bag)]
    assert get(shop, box)["version"] == 1, "what is below is told nothing"
    assert (get(shop, root)["children"], get(shop, target)["children"]) == (0, 1)
    assert events(shop, shelf) == [(1, "category.created"), (2, "category.moved")]
    as_root = move(shop, box, None).json()
    assert (as_root["parent_id"], as_root["depth"], as_root["position"]) == (None, 1, 0)
    assert [c["id"] for c in get(shop, bag)["path"]] == [box["id"], bag["id"]]


def test_a_move_below_itself_is_refused_and_changes_nothing(shop: Shop):
    root, shelf, box = chain(shop, 3)
    before = shop.counts()
    for target in (root, shelf, box):
        assert_problem(move(shop, root, target), 409, "category_cycle", "parent_id")
    assert_problem(move(shop, root, {"id": str(uuid4())}), 422, "unknown_category", "parent_id")
    answer = shop.http.post(f"/categories/{shelf['id']}/move", json={}, headers=ADMIN)
    assert_problem(answer, 400, "invalid_request", "parent_id")
    assert_nothing_written(before, shop.counts())
    assert [get(shop, c)["depth"] for c in (root, shelf, box)] == [1, 2, 3]


def test_two_moves_that_would_make_a_cycle_together_are_one_move(shop: Shop):
    """Each alone is fine: one below the other. Over two processes, again and again."""

    def go(n: int, pair: tuple[dict[str, Any], dict[str, Any]]) -> Any:
        what, to = pair
        body = {"parent_id": to["id"]}
        return shop.clients[n].post(f"/categories/{what['id']}/move", json=body, headers=ADMIN)

    with ThreadPoolExecutor(2) as at_once:
        for _ in range(10):
            one, other = category(shop), category(shop)
            deep_one, deep_other = category(shop, one), category(shop, other)
            answers = list(at_once.map(go, (0, 1), ((one, deep_other), (other, deep_one))))
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            (refused,) = (answer for answer in answers if answer.status_code == 409)
            assert_problem(refused, 409, "category_cycle", "parent_id")
    assert shop.fetch("SELECT id FROM categories WHERE path[1:cardinality(path) - 1] @> ARRAY[id]") == []


def test_the_tree_has_ten_levels_and_a_move_counts_all_below(shop: Shop):
    deepest = chain(shop, DEPTH_MAX)
    body = {"name": "Too deep", "parent_id": deepest[-1]["id"]}
    assert_problem(shop.http.post("/categories", json=body, headers=ADMIN), 409, "conflict", "parent_id")
    high, low = chain(shop, 2)
    before = shop.counts()
    assert_problem(move(shop, high, deepest[DEPTH_MAX - 2]), 409, "conflict", "parent_id")
    assert_nothing_written(before, shop.counts())
    assert move(shop, high, deepest[DEPTH_MAX - 3]).status_code == 200
    assert get(shop, low)["depth"] == DEPTH_MAX


def test_a_category_that_isnt_used_is_deleted(shop: Shop):
    root, shelf = chain(shop, 2)
    answer = shop.http.delete(f"/categories/{shelf['id']}", headers={**ADMIN, "If-Match": '"1"'})
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(shop.http.get(f"/categories/{shelf['id']}"), 404, "not_found")
    assert shop.value("SELECT count(*) FROM categories WHERE id = $1", shelf["id"]) == 0
    assert events(shop, shelf) == [(1, "category.created"), (2, "category.deleted")]
    assert shop.http.delete(f"/categories/{root['id']}", headers=ADMIN).status_code == 204


def test_a_category_in_use_isnt_deleted_and_says_by_what(shop: Shop):
    root = category(shop)
    category(shop, root)
    attribute(shop, root)
    before = shop.counts()
    problem = assert_problem(shop.http.delete(f"/categories/{root['id']}", headers=ADMIN), 409, "category_in_use")
    assert problem["detail"] == "it has 1 category below it, 1 attribute"
    assert_nothing_written(before, shop.counts())


def test_every_edit_is_noted_as_a_change_of_the_tree(shop: Shop):
    noted = "SELECT xid::text::bigint FROM catalog_changes WHERE thing = '00000000-0000-7000-8000-000000000001'"
    shelf = category(shop)
    last = shop.value(noted)
    for method, path, body in (
        ("PUT", "", {"name": "Renamed"}),
        ("POST", "/move", {"parent_id": None, "position": 1}),
        ("DELETE", "", None),
    ):
        answer = shop.http.request(method, f"/categories/{shelf['id']}{path}", json=body, headers=ADMIN)
        assert answer.is_success
        last, before = shop.value(noted), last
        assert last > before, (method, path)
