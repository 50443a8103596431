"""Sessions: tokens are rotated, one that comes back ends the session, what is revoked is refused within a second."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import jwt
import pytest

from domain.accounts.model import Role
from tests.api.people import PASSWORD, address, bearer_of, log_in, post, register
from tests.api.shop import Shop, assert_problem, bearer
from tests.system import eventually


def profile(shop: Shop, signed_in: dict[str, Any], client: int = 0) -> int:
    return shop.clients[client].get("/auth/profile", headers=bearer_of(signed_in)).status_code


def test_a_refresh_token_is_exchanged_for_new_tokens(shop: Shop):
    first = log_in(shop, register(shop))
    answer = post(shop, "/auth/refresh", refresh_token=first["refresh_token"])
    assert answer.status_code == 200
    second = answer.json()
    assert second["session_id"] == first["session_id"]
    assert second["refresh_token"] != first["refresh_token"]
    assert profile(shop, second) == 200
    claims = jwt.decode(second["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 900
    assert second["refresh_expires_in"] == 7 * 86_400


def test_a_spent_refresh_token_that_comes_back_ends_the_session(shop: Shop):
    first = log_in(shop, register(shop))
    second = post(shop, "/auth/refresh", refresh_token=first["refresh_token"]).json()
    stolen = post(shop, "/auth/refresh", refresh_token=first["refresh_token"])
    assert_problem(stolen, 401, "invalid_credentials")
    assert_problem(post(shop, "/auth/refresh", refresh_token=second["refresh_token"]), 401, "invalid_credentials")
    for client in (0, 1):
        eventually(lambda client=client: profile(shop, second, client) == 401, 5)


def test_of_two_that_come_with_the_same_token_at_once_at_most_one_is_served(shop: Shop):
    first = log_in(shop, register(shop))
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: post(shop, "/auth/refresh", refresh_token=first["refresh_token"]).status_code, range(8))
        )
    assert sorted(answers) == [200] + [401] * 7
    live = "SELECT count(*) FROM refresh_tokens WHERE session_id = $1 AND spent_at IS NULL"
    assert shop.value(live, first["session_id"]) <= 1
    assert shop.value("SELECT revoked_at IS NOT NULL FROM sessions WHERE id = $1", first["session_id"])


def test_refresh_tokens_are_stored_as_hashes(shop: Shop):
    token = log_in(shop, register(shop))["refresh_token"]
    assert shop.value("SELECT count(*) FROM refresh_tokens WHERE hash = sha256($1::bytea)", token.encode()) == 1
    assert shop.value("SELECT count(*) FROM refresh_tokens WHERE hash = $1::bytea", token.encode()) == 0


def test_an_expired_refresh_token_is_refused(shop: Shop):
    first = log_in(shop, register(shop))
    shop.execute("UPDATE refresh_tokens SET expires_at = now() WHERE session_id = $1", first["session_id"])
    assert_problem(post(shop, "/auth/refresh", refresh_token=first["refresh_token"]), 401, "invalid_credentials")


def test_logging_out_ends_the_session_and_its_access_tokens(shop: Shop):
    first = log_in(shop, register(shop))
    assert post(shop, "/auth/logout", refresh_token=first["refresh_token"]).status_code == 204
    assert post(shop, "/auth/logout", refresh_token="no such token").status_code == 204
    assert_problem(post(shop, "/auth/refresh", refresh_token=first["refresh_token"]), 401, "invalid_credentials")
    eventually(lambda: profile(shop, first, 1) == 401, 5)


def test_sessions_are_listed_and_ended_by_their_owner_alone(shop: Shop):
    email = register(shop)
    first, second = log_in(shop, email), log_in(shop, email)
    listed = shop.http.get("/auth/sessions", headers=bearer_of(second)).json()["items"]
    assert [item["id"] for item in listed] == [second["session_id"], first["session_id"]]
    assert [item["current"] for item in listed] == [True, False]
    stranger = bearer_of(log_in(shop, register(shop)))
    path = f"/auth/sessions/{first['session_id']}"
    assert_problem(shop.http.delete(path, headers=stranger), 404, "not_found")
    assert shop.http.delete(path, headers=bearer_of(second)).status_code == 204
    assert_problem(shop.http.delete(path, headers=bearer_of(second)), 404, "not_found")
    assert profile(shop, second) == 200
    eventually(lambda: profile(shop, first) == 401, 5)


def test_sessions_are_paged(shop: Shop):
    email = register(shop)
    ids = [log_in(shop, email)["session_id"] for _ in range(3)]
    signed_in = log_in(shop, email)
    page = shop.http.get("/auth/sessions?limit=2", headers=bearer_of(signed_in)).json()
    rest = shop.http.get(f"/auth/sessions?limit=2&cursor={page['next_cursor']}", headers=bearer_of(signed_in)).json()
    assert [i["id"] for i in page["items"] + rest["items"]] == [signed_in["session_id"], *reversed(ids)]
    assert rest["next_cursor"] is None


def test_an_account_has_fifty_sessions_at_most(shop: Shop):
    email = register(shop)
    account = log_in(shop, email)["account_id"]
    shop.execute(
        "INSERT INTO sessions (id, account_id, expires_at, used_at)"
        " SELECT gen_random_uuid(), $1, now() + interval '1 day', now() - n * interval '1 hour'"
        " FROM generate_series(1, 60) n",
        account,
    )
    log_in(shop, email)
    live = "SELECT count(*) FROM sessions WHERE account_id = $1 AND revoked_at IS NULL"
    assert shop.value(live, account) == 50


def test_changing_the_password_ends_the_other_sessions(shop: Shop):
    email = register(shop)
    here, there = log_in(shop, email), log_in(shop, email)
    wrong = post(
        shop, "/auth/password/change", bearer_of(here), current_password="wrong", new_password="a new password"
    )
    assert_problem(wrong, 403, "invalid_credentials", "current_password")
    weak = post(shop, "/auth/password/change", bearer_of(here), current_password=PASSWORD, new_password="short")
    assert_problem(weak, 400, "weak_password", "new_password")
    done = post(
        shop, "/auth/password/change", bearer_of(here), current_password=PASSWORD, new_password="a new password"
    )
    assert done.status_code == 204
    eventually(lambda: profile(shop, there) == 401, 5)
    assert profile(shop, here) == 200
    assert log_in(shop, email, "a new password")


def test_a_profile_is_edited_on_the_version_that_was_read(shop: Shop):
    headers = bearer_of(log_in(shop, register(shop)))
    read = shop.http.get("/auth/profile", headers=headers)
    tag = read.headers["etag"]
    first = shop.http.patch("/auth/profile", json={"name": "Ada"}, headers={**headers, "If-Match": tag})
    assert (first.status_code, first.json()["name"]) == (200, "Ada")
    stale = shop.http.patch("/auth/profile", json={"name": "Bob"}, headers={**headers, "If-Match": tag})
    assert_problem(stale, 412, "stale_version", "If-Match")
    assert stale.headers["etag"] == first.headers["etag"] != tag
    malformed = shop.http.patch("/auth/profile", json={"name": "Bob"}, headers={**headers, "If-Match": "3"})
    assert_problem(malformed, 400, "invalid_request", "If-Match")
    assert shop.http.get("/auth/profile", headers=headers).json()["name"] == "Ada"


def test_a_guest_has_a_token_and_no_account(shop: Shop):
    answer = shop.http.post("/auth/guest")
    assert answer.status_code == 201
    body = answer.json()
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["roles"]) == (body["guest_id"], ["GUEST"])
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert_problem(shop.http.get("/auth/profile", headers=headers), 403, "forbidden")
    assert shop.http.get("/jobs", headers=headers).json()["items"] == []


def test_a_token_of_nobodys_account_has_no_profile(shop: Shop):
    assert_problem(shop.http.get("/auth/profile", headers=bearer()), 404, "not_found")
    change = {"current_password": PASSWORD, "new_password": "a new password"}
    assert_problem(shop.http.post("/auth/password/change", json=change, headers=bearer()), 404, "not_found")


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": 7}, {"refresh_token": "x" * 201}, []])
def test_a_malformed_refresh_is_refused(shop: Shop, body: object):
    assert shop.http.post("/auth/refresh", json=body).status_code == 400


def test_a_suspended_account_gets_in_nowhere(shop: Shop):
    email = register(shop)
    mine, admin = log_in(shop, email), bearer(Role.ADMIN)
    suspended = post(shop, f"/accounts/{mine['account_id']}/suspend", admin, reason="fraud")
    assert suspended.status_code == 200, suspended.text
    assert_problem(post(shop, "/auth/login", email=email, password=PASSWORD), 403, "account_suspended")
    assert_problem(post(shop, "/auth/login", email=email, password="wrong one"), 401, "invalid_credentials")
    assert_problem(post(shop, "/auth/refresh", refresh_token=mine["refresh_token"]), 401, "invalid_credentials")
    for client in (0, 1):
        eventually(lambda client=client: profile(shop, mine, client) == 401, 1)
    back = shop.http.post(f"/accounts/{mine['account_id']}/reactivate", headers=admin)
    assert back.json()["status"] == "active"
    assert profile(shop, log_in(shop, email)) == 200
    assert profile(shop, mine) == 401, "what was in hand stays worthless"


def test_nobody_is_known_by_a_number_alone(shop: Shop):
    assert_problem(shop.http.delete(f"/auth/sessions/{uuid4()}", headers=bearer()), 404, "not_found")
    assert post(shop, "/auth/login", email=address(), password=PASSWORD).status_code == 401
