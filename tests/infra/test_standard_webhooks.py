"""Webhooks by the Standard Webhooks specification: its own vector, and everything that isn't one."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from infra.standard_webhooks import TOLERANCE_SECONDS, SignatureError, Signer, keys_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"test": 2432232314}'
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"


def headers(at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    return Signer(secret).headers(ID, at or datetime.now(UTC), BODY)


def test_the_specifications_own_vector_is_signed_as_it_says():
    signed = headers(datetime.fromtimestamp(1614265330, UTC))
    assert signed == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_what_is_signed_is_believed_and_named_by_its_id():
    assert Signer(SECRET).verify(BODY.encode(), headers()) == ID


def test_one_good_signature_among_several_is_enough():
    fields = headers()
    fields["webhook-signature"] = (
        f"v1,{'A' * 43}= v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZ "
    )
    fields["webhook-signature"] += headers()["webhook-signature"]
    assert Signer(SECRET).verify(BODY.encode(), fields) == ID


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS + 5, TOLERANCE_SECONDS - 5])
def test_within_five_minutes_its_time_is_good(seconds: int):
    fields = headers(datetime.now(UTC) + timedelta(seconds=seconds))
    assert Signer(SECRET).verify(BODY.encode(), fields) == ID


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "msg_another"},
        {"webhook-timestamp": "1614265330"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1" * 400},
        {"webhook-signature": f"v1,{'A' * 43}="},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,not base64"},
        {"webhook-signature": "v1,é,ü"},
        {"webhook-signature": "v1,AAA"},
        {"webhook-signature": ""},
        {"webhook-id": ""},
    ],
    ids=str,
)
def test_what_was_changed_is_not_believed(changes: dict[str, str]):
    with pytest.raises(SignatureError) as refused:
        Signer(SECRET).verify(BODY.encode(), headers() | changes)
    assert "MfKQ9r8" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b'{"test": 2432232315}', b"\xff\xfe"])
def test_another_body_is_not_believed(body: bytes):
    with pytest.raises(SignatureError):
        Signer(SECRET).verify(body, headers())


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS - 5, TOLERANCE_SECONDS + 5])
def test_too_old_or_from_the_future_is_not_believed(seconds: int):
    with pytest.raises(SignatureError, match="too"):
        Signer(SECRET).verify(BODY.encode(), headers(datetime.now(UTC) + timedelta(seconds=seconds)))


def test_a_secret_without_the_prefix_holds_as_text_and_as_base64():
    secret, now = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", str(int(datetime.now(UTC).timestamp()))
    for key in (secret.encode(), base64.b64decode(secret)):
        made = hmac.new(key, f"{ID}.{now}.{BODY}".encode(), hashlib.sha256).digest()
        fields = {
            "webhook-id": ID,
            "webhook-timestamp": now,
            "webhook-signature": f"v1,{base64.b64encode(made).decode()}",
        }
        assert Signer(secret).verify(BODY.encode(), fields) == ID


def test_any_text_may_be_a_secret_but_the_prefix_promises_base64():
    text = "a secret, plain & long"
    assert Signer(text).verify(BODY.encode(), headers(secret=text)) == ID
    with pytest.raises(ValueError, match="base64"):
        keys_of("whsec_A")
    with pytest.raises(ValueError, match="base64"):
        keys_of("whsec_")
