"""API keys over HTTP: made, used within their scopes, rotated, revoked everywhere at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.accounts.key_model import KEYS_MAX
from domain.accounts.model import Role, Scope
from domain.rejections import Code
from infra.api_keys import make
from infra.clock import new_id
from tests.api.shop import Shop, assert_problem, bearer, order
from tests.system import eventually

WITHIN = 1.0
"""Seconds after which what was taken back holds in every process."""
REVOKE_ACCOUNT = """
WITH raised AS (UPDATE accounts SET epoch = epoch + 1, status = $2 WHERE id = $1 RETURNING id, epoch)
INSERT INTO revocations (subject, epoch) SELECT id, epoch FROM raised
"""


def scoped(*scopes: Scope, **more: Any) -> dict[str, Any]:
    return {"name": "warehouse", "scopes": [scope.value for scope in scopes or (Scope.ORDERS_READ,)], **more}


def make_key(shop: Shop, account: UUID, *scopes: Scope, roles: tuple[Role, ...] = (), **more: Any) -> dict[str, Any]:
    answer = shop.http.post("/api-keys", json=scoped(*scopes, **more), headers=bearer(*roles, subject=account))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def using(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def look(client: httpx.Client, key: str) -> int:
    return client.get("/orders", headers=using(key)).status_code


def events(shop: Shop, key_id: str) -> list[tuple[int, str]]:
    rows = shop.fetch("SELECT version, type FROM events WHERE stream = $1 ORDER BY version", UUID(key_id))
    return [(row["version"], row["type"]) for row in rows]


def test_a_key_does_what_its_account_may_in_its_scopes(shop: Shop):
    (offer,) = shop.offers()
    account = shop.account()
    key = make_key(shop, account, Scope.ORDERS_READ, Scope.ORDERS_WRITE)["key"]
    placed = shop.http.post("/orders", json=order(offer), headers=using(key))
    assert placed.status_code == 202
    shop.settle()
    found = shop.clients[1].get("/orders", headers=using(key)).json()["items"]
    assert [item["id"] for item in found] == [placed.json()["id"]]
    assert found == shop.http.get("/orders", headers=bearer(subject=account)).json()["items"]


def test_a_missing_scope_is_a_403_that_names_it(shop: Shop):
    (offer,) = shop.offers()
    key = make_key(shop, shop.account(), Scope.ORDERS_READ)["key"]
    problem = assert_problem(shop.http.post("/orders", json=order(offer), headers=using(key)), 403, Code.FORBIDDEN)
    assert Scope.ORDERS_WRITE.value in problem["detail"]


def test_a_scope_gives_no_role(shop: Shop):
    key = make_key(shop, shop.account(), *Scope)["key"]
    problem = assert_problem(shop.http.get("/lanes", headers=using(key)), 403, Code.FORBIDDEN)
    assert Role.ADMIN.value in problem["detail"]
    admins = make_key(shop, shop.account(Role.ADMIN), *Scope, roles=(Role.ADMIN,))["key"]
    assert shop.http.get("/lanes", headers=using(admins)).status_code == 200


def test_no_key_makes_or_shows_keys(shop: Shop):
    made = make_key(shop, shop.account(), *Scope)
    for method, path in [
        ("GET", "/api-keys"),
        ("POST", "/api-keys"),
        ("POST", f"/api-keys/{made['id']}/rotate"),
        ("DELETE", f"/api-keys/{made['id']}"),
    ]:
        problem = assert_problem(shop.http.request(method, path, headers=using(made["key"])), 403, Code.FORBIDDEN)
        assert "no API key" in problem["detail"]


def test_a_key_is_shown_once_and_stored_as_a_hash(shop: Shop):
    account = shop.account()
    answer = shop.http.post("/api-keys", json=scoped(), headers=bearer(subject=account))
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    key = made.pop("key")
    assert look(shop.http, key) == 200
    rotated = shop.http.post(f"/api-keys/{made['id']}/rotate", headers=bearer(subject=account)).json()
    listed = shop.http.get("/api-keys", headers=bearer(subject=account))
    secrets = [key[37:], rotated["key"][37:]]
    for secret in secrets:
        assert secret not in listed.text
        assert secret not in shop.system.log("web") + shop.system.log("web2")
        for table in ("api_keys", "events", "commands", "revocations"):
            assert shop.value(f"SELECT count(*) FROM {table} AS r WHERE r::text LIKE '%' || $1 || '%'", secret) == 0
    assert {item["id"] for item in listed.json()["items"]} == {made["id"], rotated["id"]}
    assert shop.value("SELECT octet_length(hash) FROM api_keys WHERE id = $1", UUID(made["id"])) == 32


def test_a_scope_that_is_named_twice_counts_once_and_there_is_an_end_to_it(shop: Shop):
    account = shop.account()
    assert make_key(shop, account, Scope.JOBS_READ, Scope.JOBS_READ)["scopes"] == ["jobs:read"]
    body = scoped(*[Scope.JOBS_READ] * (len(Scope) + 1))
    answer = shop.http.post("/api-keys", json=body, headers=bearer(subject=account))
    assert_problem(answer, 400, Code.INVALID_REQUEST, "scopes")


def test_a_key_lives_90_days_unless_said_otherwise(shop: Shop):
    account = shop.account()
    made = make_key(shop, account)
    lifetime = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert lifetime == timedelta(days=90)
    wished = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    assert datetime.fromisoformat(make_key(shop, account, expires_at=wished)["expires_at"]).isoformat() == wished
    for bad in (datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(days=367)):
        body = scoped(expires_at=bad.isoformat())
        refused = shop.http.post("/api-keys", json=body, headers=bearer(subject=account))
        assert_problem(refused, 400, Code.INVALID_REQUEST, "expires_at")


def test_an_expired_key_is_a_401_also_where_it_was_known(shop: Shop):
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    key = make_key(shop, shop.account(), expires_at=soon)["key"]
    assert look(shop.http, key) == 200
    eventually(lambda: look(shop.http, key) == 401, 5)
    for client in shop.clients:
        answer = client.get("/orders", headers=using(key))
        assert "expired" in assert_problem(answer, 401, Code.UNAUTHENTICATED)["detail"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


NOT_OURS: dict[str, Callable[[str], str]] = {
    "an unknown one": lambda _: make(new_id()),
    "another secret": lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
    "a short one": lambda key: key[:-1],
    "not ASCII": lambda key: key + "\N{SNOWMAN}",
    "the prefix alone": lambda _: "omk_",
    "a long one": lambda _: "omk_" + "a" * 6_000,
}


@pytest.mark.parametrize("make_up", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_a_key_that_is_not_ours_is_a_401(shop: Shop, make_up: Callable[[str], str]):
    key = make_key(shop, shop.account())["key"]
    for known in (False, True):
        wrong = {"Authorization": f"Bearer {make_up(key)}".encode()}
        problem = assert_problem(shop.http.get("/orders", headers=wrong), 401, Code.UNAUTHENTICATED)
        assert key[37:] not in problem["detail"]
        assert known or look(shop.http, key) == 200


def test_a_revoked_key_is_refused_by_every_process_within_a_second(shop: Shop):
    account = shop.account()
    made = make_key(shop, account)
    assert [look(client, made["key"]) for client in shop.clients] == [200, 200]
    path = f"/api-keys/{made['id']}"
    assert shop.http.delete(path, headers=bearer(subject=account)).status_code == 204
    eventually(lambda: [look(client, made["key"]) for client in shop.clients] == [401, 401], WITHIN)
    # Once more changes nothing.
    assert shop.http.delete(path, headers=bearer(subject=account)).status_code == 204
    assert events(shop, made["id"]) == [(1, "api_key.created"), (2, "api_key.revoked")]
    refused = shop.http.post(f"{path}/rotate", headers=bearer(subject=account))
    assert_problem(refused, 409, Code.CONFLICT)


def test_rotation_leaves_both_keys_good_for_an_overlap(shop: Shop):
    account = shop.account()
    mine = bearer(subject=account)
    old = make_key(shop, account, Scope.ORDERS_READ, Scope.JOBS_READ)
    assert [look(client, old["key"]) for client in shop.clients] == [200, 200]
    before = datetime.now(UTC)
    answer = shop.http.post(f"/api-keys/{old['id']}/rotate", headers=mine)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    new = answer.json()
    assert new["key"] != old["key"]
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    assert [look(client, key["key"]) for client in shop.clients for key in (old, new)] == [200] * 4
    shown = {item["id"]: item for item in shop.http.get("/api-keys", headers=mine).json()["items"]}
    assert shown[old["id"]]["replaced_by"] == new["id"]
    left = datetime.fromisoformat(shown[old["id"]]["expires_at"]) - before
    assert timedelta(hours=23, minutes=59) < left < timedelta(hours=24, minutes=1)
    assert_problem(shop.http.post(f"/api-keys/{old['id']}/rotate", headers=mine), 409, Code.CONFLICT)
    assert shop.http.delete(f"/api-keys/{old['id']}", headers=mine).status_code == 204
    assert [version for version, _ in events(shop, old["id"])] == [1, 2, 3]


def test_rotation_without_an_overlap_ends_the_old_key_within_a_second(shop: Shop):
    account = shop.account()
    old = make_key(shop, account)
    assert [look(client, old["key"]) for client in shop.clients] == [200, 200]
    answer = shop.http.post(
        f"/api-keys/{old['id']}/rotate", json={"overlap_seconds": 0}, headers=bearer(subject=account)
    )
    assert answer.status_code == 201
    eventually(lambda: [look(client, old["key"]) for client in shop.clients] == [401, 401], WITHIN)
    assert [look(client, answer.json()["key"]) for client in shop.clients] == [200, 200]


def test_a_suspended_accounts_keys_are_refused_within_a_second(shop: Shop):
    account = shop.account()
    key = make_key(shop, account)["key"]
    assert [look(client, key) for client in shop.clients] == [200, 200]
    shop.execute(REVOKE_ACCOUNT, account, "suspended")
    eventually(lambda: [look(client, key) for client in shop.clients] == [401, 401], WITHIN)


def test_a_key_outlives_a_password_change(shop: Shop):
    """The tokens of an account are taken back; its keys go on, with the roles it has now."""
    account = shop.account(Role.ADMIN, Role.BUYER)
    key = make_key(shop, account, Scope.ORDERS_READ, Scope.OPERATION_READ)["key"]
    assert shop.http.get("/lanes", headers=using(key)).status_code == 200
    shop.execute("UPDATE accounts SET roles = '{BUYER}' WHERE id = $1", account)
    shop.execute(REVOKE_ACCOUNT, account, "active")
    eventually(lambda: shop.http.get("/lanes", headers=using(key)).status_code == 403, WITHIN)
    assert look(shop.http, key) == 200


def test_the_last_use_is_noted(shop: Shop):
    account = shop.account()
    made = make_key(shop, account)
    assert made["used_at"] is None
    before = datetime.now(UTC)
    assert look(shop.http, made["key"]) == 200

    def used_at() -> str | None:
        (item,) = shop.http.get("/api-keys", headers=bearer(subject=account)).json()["items"]
        found: str | None = item["used_at"]
        return found

    assert before <= datetime.fromisoformat(eventually(used_at)) <= datetime.now(UTC)


def test_someone_elses_key_is_a_404(shop: Shop):
    made = make_key(shop, shop.account())
    theirs = bearer(subject=shop.account())
    assert_problem(shop.http.delete(f"/api-keys/{made['id']}", headers=theirs), 404, Code.NOT_FOUND)
    assert_problem(shop.http.post(f"/api-keys/{made['id']}/rotate", headers=theirs), 404, Code.NOT_FOUND)
    assert_problem(shop.http.delete(f"/api-keys/{new_id()}", headers=theirs), 404, Code.NOT_FOUND)
    assert shop.http.get("/api-keys", headers=theirs).json() == {"items": [], "next_cursor": None}
    assert look(shop.http, made["key"]) == 200


def test_a_token_without_an_account_makes_no_keys(shop: Shop):
    assert_problem(shop.http.post("/api-keys", json=scoped(), headers=bearer()), 404, Code.NOT_FOUND)
    assert_problem(shop.http.post("/api-keys", json=scoped(), headers=bearer(Role.GUEST)), 403, Code.FORBIDDEN)


def test_an_account_has_at_most_so_many_keys_also_when_they_are_made_at_once(shop: Shop):
    account = shop.account()
    mine = bearer(subject=account)
    first = make_key(shop, account)
    shop.execute(
        "INSERT INTO api_keys (id, account_id, name, hash, scopes, expires_at) SELECT gen_random_uuid(), account_id,"
        " name, hash, scopes, expires_at FROM api_keys, generate_series(1, $2) WHERE account_id = $1",
        account,
        KEYS_MAX - 3,
    )
    with ThreadPoolExecutor(8) as at_once:
        answers = list(
            at_once.map(lambda n: shop.clients[n % 2].post("/api-keys", json=scoped(), headers=mine), range(8))
        )
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 6
    assert_problem(next(a for a in answers if a.status_code == 409), 409, Code.LIMIT_REACHED)
    # Rotating takes no place, revoking frees one.
    rotated = shop.http.post(f"/api-keys/{first['id']}/rotate", headers=mine)
    assert rotated.status_code == 201
    assert_problem(shop.http.post("/api-keys", json=scoped(), headers=mine), 409, Code.LIMIT_REACHED)
    shop.http.delete(f"/api-keys/{rotated.json()['id']}", headers=mine)
    assert shop.http.post("/api-keys", json=scoped(), headers=mine).status_code == 201


def test_keys_are_listed_in_pages_newest_first(shop: Shop):
    account = shop.account()
    made = [make_key(shop, account)["id"] for _ in range(3)]
    mine = bearer(subject=account)
    first = shop.http.get("/api-keys?limit=2", headers=mine).json()
    rest = shop.http.get("/api-keys", params={"limit": 2, "cursor": first["next_cursor"]}, headers=mine).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"scopes": ["orders:read"]}, "name"),
        ({"name": "a"}, "scopes"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["orders:read", "root"]}, "scopes[1]"),
        ({"name": "a\n", "scopes": ["orders:read"]}, "name"),
        ({"name": "a", "scopes": ["orders:read"], "roles": ["ADMIN"]}, "roles"),
        ({"name": "a", "scopes": ["orders:read"], "expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_a_bad_body_is_a_400_that_names_the_field(shop: Shop, body: dict[str, Any], path: str):
    account = shop.account()
    refused = shop.http.post("/api-keys", json=body, headers=bearer(subject=account))
    assert_problem(refused, 400, Code.INVALID_REQUEST, path)
    assert shop.value("SELECT count(*) FROM api_keys WHERE account_id = $1", account) == 0
