"""Signing keys: what a set may hold, who signs, and what happens when a key changes."""

import stat
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.utils import base64url_decode

from domain.accounts.model import Role
from infra import security, signing
from infra.security import BadTokenError, Tokens
from infra.signing import ALGORITHMS, KeySetError
from tests.builders import SECRET_KEY

BUYER = frozenset({Role.BUYER})
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k"}


def write(path: Path, *documents: dict[str, Any]) -> Path:
    path.write_bytes(msgspec.json.encode({"keys": documents}))
    return path


def signed(tokens: Tokens) -> str:
    return tokens.sign(uuid4(), BUYER, 60)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are looked at each time."""
    monkeypatch.setattr(security, "KEYS_LOOK_SECONDS", 0.0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_each_algorithm_signs_and_verifies(file: Path, algorithm: str):
    added = signing.add(file, algorithm, keep=3)
    tokens = Tokens(SECRET_KEY, str(file))
    token = signed(tokens)
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": added.signing.kid, "typ": "JWT"}
    assert Tokens(SECRET_KEY, str(file)).verify(token).roles == BUYER
    published = tokens.keys.published()
    assert len(published) == (0 if algorithm == "HS256" else 1), "a shared secret is never published"
    for key in published:
        assert not PRIVATE & key.keys()
        others = jwt.PyJWK(dict(key)).key
        assert jwt.decode(token, others, algorithms=[algorithm])["roles"] == ["BUYER"]


def test_a_key_of_the_secret_has_an_id_that_changes_with_it():
    one, other = signing.of_secret("a" * 40), signing.of_secret("b" * 40)
    assert one.signing.kid != other.signing.kid
    assert one.published() == []


def test_a_file_of_keys_is_its_owners_alone_and_keeps_as_many_as_asked(file: Path):
    kids = [signing.add(file, "EdDSA", keep=3).signing.kid for _ in range(5)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(signing.read(file).by_id) == [kids[4], kids[3], kids[2]]
    assert [path.name for path in file.parent.iterdir()] == ["keys.json"], "no half-written file stays"


@pytest.mark.usefixtures("due")
def test_a_new_key_signs_while_tokens_of_the_old_one_live(file: Path):
    signing.add(file, "ES256", keep=2)
    tokens = Tokens(SECRET_KEY, str(file))
    old = signed(tokens)
    added = signing.add(file, "EdDSA", keep=2)
    assert tokens.verify(old).roles == BUYER
    new = signed(tokens)
    assert jwt.get_unverified_header(new)["kid"] == added.signing.kid
    signing.add(file, "EdDSA", keep=2)
    with pytest.raises(BadTokenError, match="no key of ours"):
        tokens.verify(old)
    assert tokens.verify(new).roles == BUYER


@pytest.mark.usefixtures("due")
def test_a_file_that_breaks_leaves_the_keys_as_they_were(file: Path):
    signing.add(file, "EdDSA", keep=1)
    tokens = Tokens(SECRET_KEY, str(file))
    token = signed(tokens)
    for broken in (b"", b"{}", b'{"keys": []}'):
        file.write_bytes(broken)
        assert tokens.verify(token).roles == BUYER
    file.unlink()
    assert tokens.verify(token).roles == BUYER
    signing.add(file, "EdDSA", keep=1)
    with pytest.raises(BadTokenError):
        tokens.verify(token)


def test_a_token_with_a_forged_kid_or_none_is_refused(file: Path):
    keys = signing.add(file, "EdDSA", keep=2)
    tokens = Tokens(SECRET_KEY, str(file))
    claims = {"sub": str(uuid4()), "roles": ["ADMIN"], "exp": 4_000_000_000}
    stranger = signing.generate("EdDSA")
    strange = jwt.PyJWK(stranger).key
    public = base64url_decode(keys.published()[0]["x"])
    forged = [
        jwt.encode(claims, strange, algorithm="EdDSA", headers={"kid": keys.signing.kid}),
        jwt.encode(claims, strange, algorithm="EdDSA", headers={"kid": stranger["kid"]}),
        jwt.encode(claims, strange, algorithm="EdDSA", headers={"kid": "../../../dev/null"}),
        jwt.encode(claims, strange, algorithm="EdDSA"),
        # The public half, taken for a shared secret.
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": keys.signing.kid}),
        jwt.encode(claims, SECRET_KEY, algorithm="HS256", headers={"kid": keys.signing.kid}),
        jwt.encode(claims, None, algorithm="none", headers={"kid": keys.signing.kid}),
        signed(Tokens(SECRET_KEY)),
    ]
    for token in forged:
        with pytest.raises(BadTokenError) as caught:
            tokens.verify(token)
        assert token not in str(caught.value)


def test_under_the_secret_a_token_needs_no_kid_but_a_wrong_one_is_refused():
    tokens = Tokens(SECRET_KEY)
    claims = {"sub": str(uuid4()), "roles": ["BUYER"], "exp": 4_000_000_000}
    assert tokens.verify(jwt.encode(claims, SECRET_KEY, algorithm="HS256")).roles == BUYER
    for kid in ("", "other"):
        with pytest.raises(BadTokenError, match="no key of ours"):
            tokens.verify(jwt.encode(claims, SECRET_KEY, algorithm="HS256", headers={"kid": kid}))


GOOD = signing.generate("EdDSA")
SHORT = {"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2hvcnQ"}
WEAK = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65_537, key_size=1_024), as_dict=True)
OTHER_CURVE = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()), as_dict=True)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "no key"),
        ([{**GOOD, "kid": ""}], "key 1 needs a kid"),
        ([{**GOOD, "kid": 7}], "key 1 needs a kid"),
        ([GOOD, {**GOOD, "alg": "none", "kid": "b"}], "key 2 needs an alg"),
        ([{**GOOD, "alg": "RS256"}], "key 1 is not a key for RS256"),
        ([{**OTHER_CURVE, "kid": "a", "alg": "ES256"}], "key 1 needs the crv P-256 for ES256"),
        ([{**WEAK, "kid": "a", "alg": "RS256"}], "key 1 has fewer than 2048 bits"),
        ([{**GOOD, "d": "?"}], "key 1 is not a key for EdDSA"),
        ([{name: value for name, value in GOOD.items() if name != "d"}], "no private half"),
        ([GOOD, GOOD], "same kid"),
        ([SHORT], "key 1 is shorter than 32 bytes"),
    ],
)
def test_a_set_that_will_not_do_is_refused_in_one_line_without_a_key_in_it(
    file: Path, documents: list[dict[str, Any]], message: str
):
    with pytest.raises(KeySetError, match=message) as caught:
        signing.read(write(file, *documents))
    assert "\n" not in str(caught.value)
    assert GOOD["d"] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_no_set_is_refused(file: Path):
    with pytest.raises(KeySetError, match="can't be read"):
        signing.read(file)
    for text in (b"", b"[]", b'{"keys": "x"}', b'{"keys": [1]}'):
        file.write_bytes(text)
        with pytest.raises(KeySetError, match="not a JWK Set"):
            signing.read(file)
    file.write_bytes(b" " * 100_001)
    with pytest.raises(KeySetError, match="longer than"):
        signing.read(file)
    with pytest.raises(KeySetError):
        signing.add(file, "EdDSA", keep=1)
    assert file.read_bytes() == b" " * 100_001, "what can't be read isn't overwritten"


def test_one_that_only_verifies_may_come_after_the_first(file: Path):
    other = signing.generate("ES256")
    public = {name: value for name, value in other.items() if name != "d"}
    keys = signing.read(write(file, GOOD, public))
    assert keys.by_id[other["kid"]].private is None
    assert len(keys.published()) == 2
