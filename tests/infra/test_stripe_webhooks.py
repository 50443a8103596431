"""Stripe's webhooks: believed by their signature alone, and what they say."""

import time
from typing import Any

import pytest

from domain.payments.news import AttemptState, DisputeState, News, RefundState
from infra.clock import new_id
from infra.gateways.protocol import BadNoticeError, BadSignatureError
from infra.gateways.registry import gateways_of
from infra.gateways.stripe_gateway import StripeGateway
from tests.stripe_server import SECRET_KEY, WEBHOOK_SECRET, config, event, signed


def an_event(kind: str, **thing: Any) -> bytes:
    return event(kind, {"currency": "usd", "metadata": {}, **thing})


def intent(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "pi_1", "status": status, "amount": 1999, **more}


INTENTS = {
    "payment_intent.succeeded": (intent("succeeded", amount_received=1999), AttemptState.CAPTURED),
    "payment_intent.canceled": (intent("canceled"), AttemptState.VOIDED),
    "payment_intent.amount_capturable_updated": (intent("requires_capture"), AttemptState.AUTHORIZED),
    "payment_intent.processing": (intent("processing"), AttemptState.PENDING),
    "payment_intent.requires_action": (intent("requires_action"), AttemptState.ACTION_REQUIRED),
    "payment_intent.payment_failed": (
        intent("requires_payment_method", last_payment_error={"code": "expired_card"}),
        AttemptState.FAILED,
    ),
}


@pytest.mark.parametrize(("kind", "said"), INTENTS.items(), ids=INTENTS.keys())
def test_an_event_about_a_payment_tells_how_far_it_has_come(kind: str, said: tuple[dict[str, Any], AttemptState]):
    payment, (thing, state) = new_id(), said
    body = an_event(kind, **thing | {"metadata": {"payment_id": str(payment)}})
    notice = StripeGateway(config()).verify(body, signed(body))
    assert (notice.id, notice.type) == ("evt_1", kind)
    assert notice.payment is not None
    assert (notice.payment.payment_id, notice.payment.reference, notice.payment.state) == (payment, "pi_1", state)


def test_events_about_refunds_and_disputes_name_their_payment():
    verify = StripeGateway(config()).verify
    body = an_event("charge.refunded", id="ch_1", payment_intent="pi_1", amount_refunded=700)
    assert verify(body, signed(body)).payment == News(reference="pi_1", refunded_minor=700)
    body = an_event(
        "refund.failed", id="re_1", payment_intent="pi_1", status="failed", failure_reason="lost_or_stolen_card",
        metadata={"refund_no": "2"},
    )  # fmt: skip
    notice = verify(body, signed(body))
    assert notice.refund is not None
    assert (notice.refund.state, notice.refund.refund_no) == (RefundState.FAILED, 2)
    assert notice.payment == News(reference="pi_1")
    taken = [{"fee": 1500, "currency": "usd"}, {"fee": 9, "currency": "eur"}]
    for status, state in (
        ("needs_response", DisputeState.OPENED),
        ("won", DisputeState.WON),
        ("lost", DisputeState.LOST),
    ):
        body = an_event(
            "charge.dispute.closed", id="dp_1", payment_intent="pi_1", amount=1999, status=status, reason="fraudulent",
            balance_transactions=taken,
        )  # fmt: skip
        dispute = verify(body, signed(body)).dispute
        assert dispute is not None
        assert (dispute.reference, dispute.state) == ("dp_1", state)
        assert (dispute.amount_minor, dispute.fee_minor, dispute.reason) == (1999, 1500, "fraudulent")


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("customer.created", {"id": "cus_1"}),
        (
            "charge.dispute.created",
            {"id": "dp_1", "status": "warning_needs_response", "amount": 1, "payment_intent": "p"},
        ),
        ("refund.created", {"id": "re_1", "payment_intent": None}),
        ("charge.refunded", {"id": "ch_1"}),
    ],
)
def test_an_event_about_nothing_of_ours_says_nothing(kind: str, thing: dict[str, Any]):
    body = an_event(kind, **thing)
    notice = StripeGateway(config()).verify(body, signed(body))
    assert (notice.payment, notice.refund, notice.dispute) == (None, None, None)


def test_an_event_is_believed_by_its_signature_alone():
    verify = StripeGateway(config()).verify
    body = an_event("payment_intent.succeeded", **intent("succeeded"))
    bad = {
        "none": {},
        "another secret": signed(body, secret="whsec_another"),
        "another body": signed(body + b" "),
        "ten minutes old": signed(body, at=int(time.time()) - 600),
        "no signature": {"stripe-signature": "t=1,v0=00"},
        "no time": {"stripe-signature": "v1=00"},
        "no ASCII": {"stripe-signature": "t=1,v1=é"},
    }
    for fields in bad.values():
        with pytest.raises(BadSignatureError) as refused:
            verify(body, fields)
        assert WEBHOOK_SECRET not in str(refused.value)
    with pytest.raises((BadSignatureError, BadNoticeError)):
        verify(b"\xff\xfe", signed(b"\xff\xfe"))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"id": 1}', b"no json"])
def test_what_is_signed_and_no_event_is_told_apart(body: bytes):
    with pytest.raises(BadNoticeError):
        StripeGateway(config()).verify(body, signed(body))


def test_no_key_shows_in_what_is_printed():
    printed = repr(StripeGateway(config())) + repr(gateways_of(config()))
    assert not {SECRET_KEY, WEBHOOK_SECRET} & set(printed.split())
    assert SECRET_KEY not in printed
