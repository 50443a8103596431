"""Tokens: what is believed, and for how long."""

from uuid import uuid4

import jwt
import pytest

from domain.accounts.model import Role
from infra import security
from infra.security import BadTokenError, Principal, Tokens
from tests.builders import SECRET_KEY


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


def test_what_is_signed_is_verified():
    subject = uuid4()
    tokens = Tokens(SECRET_KEY)
    signed = tokens.sign(subject, frozenset({Role.BUYER, Role.SELLER}), 60)
    expected = Principal(subject, frozenset({Role.BUYER, Role.SELLER}))
    assert tokens.verify(signed) == expected
    assert tokens.verify(signed) == expected
    assert Tokens(SECRET_KEY).verify(signed) == expected
    assert not expected.is_admin


def test_a_token_of_another_key_is_refused():
    signed = Tokens("x" * 32).sign(uuid4(), frozenset({Role.ADMIN}), 60)
    with pytest.raises(BadTokenError) as caught:
        Tokens(SECRET_KEY).verify(signed)
    assert signed not in str(caught.value)


def test_a_signature_is_checked_once_and_the_token_believed_until_it_expires(monkeypatch: pytest.MonkeyPatch):
    tokens = Tokens(SECRET_KEY)
    signed = tokens.sign(uuid4(), frozenset({Role.BUYER}), 60)
    checks = []
    decode = jwt.decode
    monkeypatch.setattr(security.jwt, "decode", lambda *a, **k: checks.append(1) or decode(*a, **k))
    principal = tokens.verify(signed)
    assert tokens.verify(signed) == principal
    assert checks == [1]
    clock = Clock()
    clock.now = jwt.decode(signed, options={"verify_signature": False})["exp"] + 0.5
    monkeypatch.setattr(security, "time", clock)
    with pytest.raises(BadTokenError, match="expired"):
        tokens.verify(signed)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(security, "REMEMBERED_MAX", 3)
    tokens = Tokens(SECRET_KEY)
    many = [tokens.sign(uuid4(), frozenset({Role.BUYER}), 60) for _ in range(5)]
    for signed in many:
        tokens.verify(signed)
    assert list(tokens._remembered) == many[-3:]
    assert tokens.verify(many[0]).roles == {Role.BUYER}


def test_a_bad_token_is_not_remembered():
    tokens = Tokens(SECRET_KEY)
    for bad in ("", "x", "a.b.c", "a" * 5_000):
        with pytest.raises(BadTokenError):
            tokens.verify(bad)
    assert len(tokens._remembered) == 0
