"""``ordermill signing-keys``: from an empty folder to a running api whose keys change under it."""

from pathlib import Path

import httpx
import pytest

from infra import signing
from tests.builders import SECRET_KEY
from tests.ops.console import environment, ordermill, result_of
from tests.system import System, eventually


def test_an_api_signs_with_the_file_and_takes_up_its_changes(system: System, tmp_path: Path):
    file = tmp_path / "keys.json"
    first = result_of("signing-keys", str(file), env=environment())
    assert first["kids"] == [first["kid"]]
    url = system.web(SIGNING_KEYS_FILE=str(file))
    env = environment(SECRET_KEY=SECRET_KEY, SIGNING_KEYS_FILE=str(file))
    admin = result_of("token", "--role", "ADMIN", env=env)["token"]
    by_secret = result_of("token", "--role", "ADMIN", env=environment(SECRET_KEY=SECRET_KEY))["token"]

    def status(token: str) -> int:
        return httpx.get(f"{url}/lanes", headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code

    def published() -> list[str]:
        answer = httpx.get(f"{url}/.well-known/jwks.json", timeout=30)
        assert answer.headers["cache-control"] == "public, max-age=300"
        return [key["kid"] for key in answer.json()["keys"]]

    assert (status(admin), status(by_secret)) == (200, 401)
    assert published() == [first["kid"]]

    second = result_of("signing-keys", str(file), "--algorithm", "ES256", env=environment())
    eventually(lambda: published() == [second["kid"], first["kid"]])
    assert status(admin) == 200
    assert status(result_of("token", "--role", "ADMIN", env=env)["token"]) == 200

    third = result_of("signing-keys", str(file), "--algorithm", "HS256", "--keep", "1", env=environment())
    eventually(lambda: published() == [])
    assert third["kids"] == [third["kid"]]
    assert status(admin) == 401


def test_without_a_file_nothing_is_published(system: System):
    url = system.web()
    assert httpx.get(f"{url}/.well-known/jwks.json", timeout=30).json() == {"keys": []}


@pytest.mark.parametrize("content", ["", '{"keys": []}', '{"keys": [{"kid": "a", "alg": "none"}]}'])
def test_a_file_that_will_not_do_is_not_touched(tmp_path: Path, content: str):
    file = tmp_path / "keys.json"
    file.write_text(content)
    if content == '{"keys": []}':
        assert len(result_of("signing-keys", str(file), env=environment())["kids"]) == 1
        return
    done = ordermill("signing-keys", str(file), env=environment(), status=1)
    assert done.stderr.count("\n") == 1
    assert file.read_text() == content
    env = environment(SECRET_KEY=SECRET_KEY, SIGNING_KEYS_FILE=str(file))
    assert "SIGNING_KEYS_FILE" in ordermill("token", "--role", "ADMIN", env=env, status=1).stderr


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    done = ordermill("signing-keys", str(tmp_path / "no" / "keys.json"), env=environment(), status=1)
    assert "is not a folder" in done.stderr
    assert signing.add(tmp_path / "keys.json", "EdDSA", keep=1).signing.algorithm == "EdDSA"
