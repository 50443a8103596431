"""``ordermill admin create``: the first admin, who can log in and administer."""

import httpx
import pytest

from tests.ops.console import environment, ordermill, result_of
from tests.system import System

PASSWORD = "a long enough password"
EMAIL = "root@example.com"


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return environment(DATABASE_URL=database_url)


def create(env: dict[str, str], *more: str, said: str = PASSWORD, email: str = EMAIL) -> dict[str, object]:
    made: dict[str, object] = result_of("admin", "create", "--email", email, *more, env=env, said=said)
    return made


def test_the_first_admin_logs_in_and_administers(env: dict[str, str], system: System):
    made = create(env, "--password-stdin", "--name", "Root")
    assert (made["email"], made["roles"], made["created"]) == (EMAIL, ["ADMIN", "BUYER"], True)
    url = system.web()
    signed_in = httpx.post(f"{url}/auth/login", json={"email": EMAIL, "password": PASSWORD}, timeout=30).json()
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    (listed,) = httpx.get(f"{url}/accounts", headers=headers, timeout=30).json()["items"]
    assert (listed["id"], listed["verified"]) == (made["account_id"], True)
    assert PASSWORD not in system.log("web")


def test_an_address_that_has_an_account_is_promoted_on_request_only(env: dict[str, str]):
    made = create(env, "--password-stdin")
    again = ordermill("admin", "create", "--email", EMAIL, "--password-stdin", env=env, said=PASSWORD, status=1)
    assert "--promote" in again.stderr
    assert create(env, "--promote") == {**made, "created": False}
    unknown = ordermill("admin", "create", "--email", "nobody@example.com", "--promote", env=env, status=1)
    assert "has no account" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "why"),
    [
        (("--email", "nobody", "--password-stdin"), PASSWORD, "one @"),
        (("--email", EMAIL, "--password-stdin"), "short", "12 to 200"),
        (("--email", EMAIL, "--password-stdin"), "", "12 to 200"),
        (("--email", EMAIL), PASSWORD, "no terminal"),
        (("--email", EMAIL, "--password-stdin", "--name", "x" * 201), PASSWORD, "200 characters"),
    ],
)
def test_what_will_not_do_is_one_line_and_changes_nothing(
    env: dict[str, str], arguments: tuple[str, ...], said: str, why: str
):
    done = ordermill("admin", "create", *arguments, env=env, said=said, status=1)
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert create(env, "--password-stdin")["created"] is True
