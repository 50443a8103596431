"""Accounts as they begin: nothing tells whether an address has one, and links are good once."""

import re
from uuid import UUID

import argon2
import pytest
from litestar.testing import TestClient

from api import app as api_app
from domain.accounts.model import Purpose
from infra.settings import Settings
from tests.api.people import PASSWORD, address, bearer_of, link_of, log_in, post, register
from tests.api.shop import Shop, assert_problem
from tests.builders import SECRET_KEY
from tests.system import eventually

TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


def mails(shop: Shop, email: str) -> list[str]:
    """The kinds of mail that were asked for, to an address."""
    rows = shop.fetch(
        "SELECT payload ->> 'kind' AS kind FROM commands WHERE job = 'send_account_mail' AND payload ->> 'to' = $1"
        " ORDER BY id",
        email,
    )
    return [row["kind"] for row in rows]


def test_who_registers_and_follows_the_link_can_log_in(shop: Shop):
    email = address()
    answer = post(shop, "/auth/register", email=email, password=PASSWORD, name="Ada")
    assert answer.status_code == 202
    eventually(lambda: mails(shop, email) == ["verify_email"])
    post(shop, "/auth/verify-email", token=link_of(shop, email, Purpose.VERIFY_EMAIL))
    signed_in = log_in(shop, email)
    assert signed_in["roles"] == ["BUYER"]
    assert signed_in["token_type"] == "Bearer"
    profile = shop.http.get("/auth/profile", headers=bearer_of(signed_in)).json()
    assert (profile["email"], profile["name"], profile["verified"]) == (email, "Ada", True)
    events = shop.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", UUID(profile["id"]))
    assert [row["type"] for row in events] == ["account.registered", "account.verified"]


def test_an_address_that_is_not_verified_cannot_log_in_and_is_not_told_why(shop: Shop):
    email = address()
    post(shop, "/auth/register", email=email, password=PASSWORD)
    unverified = post(shop, "/auth/login", email=email, password=PASSWORD)
    unknown = post(shop, "/auth/login", email=address(), password=PASSWORD)
    assert_problem(unverified, 401, "invalid_credentials")
    assert unverified.json() == unknown.json()


def test_where_verification_is_optional_who_registered_can_log_in(make_shop):
    shop = make_shop()
    shop.web(EMAIL_VERIFICATION="optional")
    email = address()
    post(shop, "/auth/register", email=email, password=PASSWORD)
    assert log_in(shop, email)["roles"] == ["BUYER"]


def test_registering_answers_alike_whether_the_address_has_an_account_or_not(shop: Shop):
    email = register(shop)
    again = post(shop, "/auth/register", email=email, password="another password")
    fresh = post(shop, "/auth/register", email=address(), password="another password")
    assert (again.status_code, again.json()) == (fresh.status_code, fresh.json())
    assert set(again.headers) == set(fresh.headers)
    eventually(lambda: mails(shop, email) == ["verify_email", "already_registered"])
    assert_problem(post(shop, "/auth/login", email=email, password="another password"), 401, "invalid_credentials")
    assert shop.value("SELECT count(*) FROM accounts WHERE email = $1", email) == 1


def test_asking_for_a_link_answers_alike_whether_the_address_has_an_account_or_not(shop: Shop):
    known = post(shop, "/auth/password/forgot", email=register(shop))
    unknown = post(shop, "/auth/password/forgot", email=address())
    assert (known.status_code, known.json()) == (202, unknown.json())
    assert set(known.headers) == set(unknown.headers)


def test_an_unknown_address_costs_one_check_of_a_password_like_a_known_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    checks: list[str] = []
    verify = argon2.PasswordHasher.verify
    monkeypatch.setattr(argon2.PasswordHasher, "verify", lambda self, *a: checks.append("check") or verify(self, *a))
    with TestClient(api_app.correlate(api_app.create(settings))) as http:  # type: ignore[arg-type]
        counts = []
        email = address()
        http.post("/auth/register", json={"email": email, "password": PASSWORD})
        for tried in (email, address()):
            checks.clear()
            assert http.post("/auth/login", json={"email": tried, "password": "wrong password"}).status_code == 401
            counts.append(len(checks))
    assert counts == [1, 1]


@pytest.mark.parametrize("written", ["{}", "  {}", "{}\u200b"], ids=["as it is", "with a space", "with a zero width"])
def test_an_address_is_compared_without_regard_to_case_and_form(shop: Shop, written: str):
    email = register(shop, f"Ada.{address()}")
    answer = post(shop, "/auth/login", email=written.format(email), password=PASSWORD)
    if written != "{}":
        assert answer.status_code == 401
        assert_problem(
            post(shop, "/auth/register", email=written.format(email), password=PASSWORD),
            400,
            "invalid_request",
            "email",
        )
        return
    for same in (email.upper(), email.replace("example", "\uff45xample")):
        assert log_in(shop, same)["account_id"] == answer.json()["account_id"]
        post(shop, "/auth/register", email=same, password=PASSWORD)
    shop.settle()
    assert shop.value("SELECT count(*) FROM accounts WHERE email_key = lower($1)", email) == 1


@pytest.mark.parametrize(
    "email",
    ["a", "ab", "@example.com", "ada@", "ada@localhost", "a b@example.com", "ada@exam_ple.com", "ada@@example.com",
     "ada..b@example.com", "\u0430da@example.com", "ada@ex\u0430mple.com", "ada@example.com\r\nBcc: x@y.zz", 17, None],
)  # fmt: skip
def test_what_is_no_address_is_refused(shop: Shop, email: object):
    for path in ("/auth/register", "/auth/password/forgot"):
        body = {"email": email} | ({"password": PASSWORD} if path.endswith("register") else {})
        assert_problem(shop.http.post(path, json=body), 400, "invalid_request", "email")


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_a_password_has_a_length(shop: Shop, password: str):
    answer = post(shop, "/auth/register", email=address(), password=password)
    assert answer.status_code == 400
    assert answer.json()["path"] == "password"


def test_the_address_is_no_password(shop: Shop):
    email = address()
    assert_problem(post(shop, "/auth/register", email=email, password=email.upper()), 400, "weak_password", "password")


@pytest.mark.parametrize("more", [{"roles": ["ADMIN"]}, {"status": "active"}, {"verified_at": "2026-01-01T00:00:00Z"}])
def test_nobody_gives_themselves_roles(shop: Shop, more: dict[str, object]):
    (name,) = more
    wish = {"email": address(), "password": PASSWORD, **more}
    assert_problem(shop.http.post("/auth/register", json=wish), 400, "invalid_request", name)
    bearer = bearer_of(log_in(shop, register(shop)))
    assert_problem(
        shop.http.patch("/auth/profile", json={"name": "x", **more}, headers=bearer), 400, "invalid_request", name
    )


def test_a_forgotten_password_is_reset_by_the_link_once_and_ends_every_session(shop: Shop):
    email = register(shop)
    before = log_in(shop, email)
    post(shop, "/auth/password/forgot", email=email)
    token = link_of(shop, email, Purpose.RESET_PASSWORD)
    assert post(shop, "/auth/password/reset", token=token, password="a new password").status_code == 204
    again = post(shop, "/auth/password/reset", token=token, password="yet another one")
    assert_problem(again, 400, "invalid_link", "token")
    assert_problem(post(shop, "/auth/login", email=email, password=PASSWORD), 401, "invalid_credentials")
    assert log_in(shop, email, "a new password")
    refreshed = post(shop, "/auth/refresh", refresh_token=before["refresh_token"])
    assert_problem(refreshed, 401, "invalid_credentials")
    eventually(lambda: shop.http.get("/auth/profile", headers=bearer_of(before)).status_code == 401, 5)
    assert mails(shop, email)[-1] == "password_changed"


def test_a_reset_verifies_the_address(shop: Shop):
    email = address()
    post(shop, "/auth/register", email=email, password="somebody else's choice")
    post(shop, "/auth/password/forgot", email=email)
    token = link_of(shop, email, Purpose.RESET_PASSWORD)
    assert post(shop, "/auth/password/reset", token=token, password=PASSWORD).status_code == 204
    assert log_in(shop, email)


def test_a_link_is_worth_its_own_purpose(shop: Shop):
    email = register(shop)
    post(shop, "/auth/password/forgot", email=email)
    reset = link_of(shop, email, Purpose.RESET_PASSWORD)
    assert_problem(post(shop, "/auth/verify-email", token=reset), 400, "invalid_link", "token")
    assert_problem(post(shop, "/auth/password/reset", token="x" * 64, password=PASSWORD), 400, "invalid_link", "token")
    shop.execute("UPDATE one_time_tokens SET expires_at = now() WHERE purpose = 'reset_password' AND used_at IS NULL")
    assert_problem(post(shop, "/auth/password/reset", token=reset, password=PASSWORD), 400, "invalid_link", "token")


def test_an_address_gets_few_links_however_often_they_are_asked_for(shop: Shop):
    email = register(shop)
    for _ in range(9):
        post(shop, "/auth/password/forgot", email=email)
    shop.settle()
    assert mails(shop, email).count("reset_password") == 5


def test_no_secret_is_written_down(shop: Shop):
    email = register(shop)
    signed_in = log_in(shop, email)
    post(shop, "/auth/password/forgot", email=email)
    token = link_of(shop, email, Purpose.RESET_PASSWORD)
    shop.settle()
    tables = [
        row["t"]
        for row in shop.fetch(
            "SELECT relname AS t FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
    ]
    secrets = [PASSWORD, token, signed_in["refresh_token"], signed_in["access_token"], SECRET_KEY]
    for table in tables:
        for row in shop.fetch(f"SELECT to_jsonb(t)::text AS row FROM {table} t"):
            assert not [s for s in secrets if s in row["row"]], table
    logs = "".join(shop.system.log(name) for name in ("web", "web2", "worker"))
    # Console mail shows links: that is its purpose.
    assert not [s for s in secrets if s in re.sub(r'"event":"mail".*', "", logs) and s != token]
