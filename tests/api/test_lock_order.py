"""Two requests that lock the same accounts: they wait for each other in one order (docs/architecture.md).

A third transaction keeps both where they would have met before: in a circle, which PostgreSQL ends with an error.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import pytest

from domain.accounts.model import Purpose, Role
from domain.rejections import Code
from infra.clock import new_id
from infra.onetime import token_of
from tests.api.people import PASSWORD, post
from tests.api.selling import ADMIN, approved
from tests.api.shop import Shop, assert_problem
from tests.builders import SECRET_KEY
from tests.system import eventually

WRITE_LINK = """
INSERT INTO one_time_tokens (id, account_id, purpose, expires_at) VALUES ($1, $2, $3, now() + interval '1 hour')
"""


@contextmanager
def held(shop: Shop, table: str, key: UUID) -> Iterator[None]:
    """Keep a row locked."""
    shop.execute("BEGIN")
    try:
        shop.execute(f"SELECT FROM {table} WHERE id = $1 FOR NO KEY UPDATE", key)
        yield
    finally:
        shop.execute("COMMIT")


def wait_for(shop: Shop, number: int) -> None:
    eventually(lambda: shop.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == number)


def test_roles_are_set_while_a_seller_is_suspended_of_which_an_admin_is_a_member(shop: Shop):
    """Setting roles locks every admin: with the account itself, in the order of ids, as a suspension does."""
    owner = shop.account()
    seller = approved(shop, owner)
    colleague = shop.member(UUID(seller["id"]))
    shop.execute("UPDATE accounts SET roles = '{ADMIN,BUYER}' WHERE id = $1", colleague)
    assert owner < colleague
    with ThreadPoolExecutor(2) as requests:
        with held(shop, "accounts", colleague):
            roles = {"roles": [Role.BUYER]}
            set_roles = requests.submit(shop.http.put, f"/accounts/{owner}/roles", json=roles, headers=ADMIN)
            wait_for(shop, 1)
            path, why = f"/sellers/{seller['id']}/suspend", {"reason": "a test"}
            suspend = requests.submit(shop.http.post, path, json=why, headers=ADMIN)
            wait_for(shop, 2)
        shop.execute("UPDATE accounts SET roles = '{BUYER}' WHERE id = $1", colleague)
        assert (set_roles.result().status_code, suspend.result().status_code) == (200, 200)


@pytest.mark.parametrize("purpose", [Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD])
def test_of_two_links_that_are_followed_at_once_one_is_good(shop: Shop, purpose: Purpose):
    """Using one makes the others of its kind worthless: so both wait for the account first."""
    account, (unused, first, second) = shop.account(verified=False), (new_id() for _ in range(3))
    for link in (unused, first, second):
        shop.execute(WRITE_LINK, link, account, purpose.value)
    path = "/auth/verify-email" if purpose is Purpose.VERIFY_EMAIL else "/auth/password/reset"
    more = {} if purpose is Purpose.VERIFY_EMAIL else {"password": PASSWORD}
    with ThreadPoolExecutor(2) as requests:
        with held(shop, "one_time_tokens", unused):
            followed = []
            for waiting, link in enumerate((first, second), start=1):
                token = token_of(SECRET_KEY, purpose, link)
                followed.append(requests.submit(post, shop, path, token=token, **more))
                wait_for(shop, waiting)
        good, late = (answer.result() for answer in followed)
        assert good.status_code == 204, good.text
        assert_problem(late, 400, Code.INVALID_LINK, "token")
