"""Addresses over HTTP: an account's own, and nobody else's."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.address_model import ADDRESSES_MAX
from domain.accounts.model import Role
from domain.rejections import Code
from infra.clock import new_id
from tests.api.shop import Shop, assert_problem, bearer

HOME = {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "country": "GB"}
EMPTY = {"company": "", "line2": "", "postal_code": "", "region": "", "phone": ""}


def add(shop: Shop, account: UUID, **changes: str) -> dict[str, Any]:
    answer = shop.http.post("/addresses", json={**HOME, **changes}, headers=bearer(subject=account))
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


def test_an_address_is_added_replaced_and_removed(shop: Shop):
    mine = bearer(subject=(account := shop.account()))
    answer = shop.http.post("/addresses", json=HOME, headers=mine)
    added = answer.json()
    path = answer.headers["location"]
    assert (answer.status_code, answer.headers["etag"], path) == (201, '"1"', f"/addresses/{added['id']}")
    assert {name: added[name] for name in (*HOME, *EMPTY)} == {**HOME, **EMPTY}
    work = {**HOME, "company": "Analytical Engines", "postal_code": "SW1Y 4JH"}
    replaced = shop.http.put(path, json=work, headers=mine)
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')
    assert replaced.json() == {**added, **work, "version": 2}
    assert shop.http.get("/addresses", headers=mine).json() == {"items": [replaced.json()], "next_cursor": None}
    assert shop.http.delete(path, headers=mine).status_code == 204
    assert_problem(shop.http.delete(path, headers=mine), 404, Code.NOT_FOUND)
    assert shop.http.get("/addresses", headers=mine).json()["items"] == []
    rows = shop.fetch(
        "SELECT version, type, data, actor FROM events WHERE stream = $1 ORDER BY version", UUID(added["id"])
    )
    assert [(row["version"], row["type"]) for row in rows] == [
        (1, "address.added"),
        (2, "address.changed"),
        (3, "address.removed"),
    ]
    assert {row["actor"] for row in rows} == {account}


def test_nothing_of_an_address_stands_in_events_or_logs(shop: Shop):
    account = shop.account()
    street = f"Street {new_id().hex}"
    path = f"/addresses/{add(shop, account, line1=street)['id']}"
    assert shop.http.put(path, json={**HOME, "line2": street}, headers=bearer(subject=account)).status_code == 200
    assert shop.http.delete(path, headers=bearer(subject=account)).status_code == 204
    assert shop.value("SELECT count(*) FROM events WHERE data::text LIKE '%' || $1 || '%'", street) == 0
    assert shop.value("SELECT count(*) FROM addresses WHERE account_id = $1", account) == 0
    assert street not in shop.system.log("web")


def test_an_address_is_replaced_and_removed_on_the_version_that_was_read(shop: Shop):
    account = shop.account()
    path = f"/addresses/{add(shop, account)['id']}"
    first = {**bearer(subject=account), "If-Match": '"1"'}
    assert shop.http.put(path, json={**HOME, "city": "Bath"}, headers=first).status_code == 200
    for stale in (shop.http.put(path, json=HOME, headers=first), shop.http.delete(path, headers=first)):
        assert_problem(stale, 412, Code.STALE_VERSION, "If-Match")
        assert stale.headers["etag"] == '"2"'
    (left,) = shop.http.get("/addresses", headers=bearer(subject=account)).json()["items"]
    assert (left["city"], left["version"]) == ("Bath", 2)


def test_someone_elses_address_is_a_404_for_an_admin_too(shop: Shop):
    owner = shop.account()
    path = f"/addresses/{add(shop, owner)['id']}"
    for theirs in (bearer(subject=shop.account()), bearer(Role.ADMIN, subject=shop.account(Role.ADMIN))):
        assert_problem(shop.http.put(path, json=HOME, headers=theirs), 404, Code.NOT_FOUND)
        assert_problem(shop.http.delete(path, headers=theirs), 404, Code.NOT_FOUND)
        assert shop.http.get("/addresses", headers=theirs).json()["items"] == []
    assert len(shop.http.get("/addresses", headers=bearer(subject=owner)).json()["items"]) == 1


def test_a_token_without_an_account_has_no_addresses(shop: Shop):
    assert_problem(shop.http.post("/addresses", json=HOME, headers=bearer()), 404, Code.NOT_FOUND)
    assert_problem(shop.http.post("/addresses", json=HOME, headers=bearer(Role.GUEST)), 403, Code.FORBIDDEN)


def test_addresses_are_listed_in_pages_newest_first(shop: Shop):
    account = shop.account()
    added = [add(shop, account, name=f"Name {n}")["id"] for n in range(3)]
    mine = bearer(subject=account)
    first = shop.http.get("/addresses?limit=2", headers=mine).json()
    rest = shop.http.get("/addresses", params={"limit": 2, "cursor": first["next_cursor"]}, headers=mine).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == added[::-1]
    assert rest["next_cursor"] is None


def test_an_account_has_at_most_a_hundred_addresses_also_when_they_are_added_at_once(shop: Shop):
    account = shop.account()
    add(shop, account)
    shop.execute(
        "INSERT INTO addresses (id, account_id, name, line1, city, country)"
        " SELECT gen_random_uuid(), $1, 'a', 'a', 'a', 'GB' FROM generate_series(1, $2)",
        account,
        ADDRESSES_MAX - 3,
    )
    mine = bearer(subject=account)
    with ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(shop.clients[n % 2].post, "/addresses", json=HOME, headers=mine) for n in range(8)]
        answers = [post.result() for post in posts]
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 6
    assert_problem(next(a for a in answers if a.status_code == 409), 409, Code.LIMIT_REACHED)


BAD = [
    ({**HOME, "country": "UK"}, "country"),
    ({**HOME, "country": "Germany"}, "country"),
    ({**HOME, "city": ""}, "city"),
    ({**HOME, "line1": "a\r\nb"}, "line1"),
    ({**HOME, "name": "a\0"}, "name"),
    ({**HOME, "account_id": str(new_id())}, "account_id"),
    ({**HOME, "version": 7}, "version"),
    ({name: value for name, value in HOME.items() if name != "line1"}, "line1"),
]


@pytest.mark.parametrize(("body", "path"), BAD)
def test_a_bad_address_is_a_400_that_names_the_field(shop: Shop, body: dict[str, Any], path: str):
    account = shop.account()
    kept = f"/addresses/{add(shop, account)['id']}"
    mine = bearer(subject=account)
    assert_problem(shop.http.post("/addresses", json=body, headers=mine), 400, Code.INVALID_REQUEST, path)
    assert_problem(shop.http.put(kept, json=body, headers=mine), 400, Code.INVALID_REQUEST, path)
    (left,) = shop.http.get("/addresses", headers=mine).json()["items"]
    assert left["version"] == 1
