"""The sandbox: what each token does, what its books say then, and what its webhooks mean."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from domain.payments.news import AttemptState, Capture, DisputeState, News, RefundState
from infra.clock import new_id
from infra.gateways.protocol import BadNoticeError, BadSignatureError, GatewayError, GatewayRefusedError
from infra.gateways.sandbox import PAGE_SIZE, Sandbox
from infra.settings import Settings
from tests.builders import SANDBOX_SECRET
from tests.gateways import an_intent, webhook

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:1/webhooks/sandbox"


def made(settings: Settings, **changes: Any) -> Sandbox:
    config = msgspec.structs.replace(settings, sandbox_webhook_url=HERE, **changes)
    signer = config.sandbox_signer()
    assert signer is not None
    return Sandbox(config, signer)


@pytest.fixture
async def sandbox(settings: Settings) -> AsyncIterator[Sandbox]:
    gateway = made(settings)
    yield gateway
    await gateway.close()


async def create(sandbox: Sandbox, token: str = "tok_ok", *, key: str = "", **changes: Any) -> News:
    return await sandbox.create(an_intent(token, **changes), key=key or new_id().hex, seconds=5)


async def webhooks(conn: Any) -> list[Any]:
    return list(
        await conn.fetch(
            "SELECT c.payload::jsonb ->> 'webhook_id' AS id, c.payload::jsonb -> 'webhook' ->> 'type' AS type,"
            " extract(epoch FROM p.run_at - now())::float8 AS wait FROM commands c JOIN pending p USING (id)"
        )
    )


async def test_a_payment_is_taken_at_once_or_promised(sandbox: Sandbox, conn: Any):
    now = await create(sandbox)
    assert (now.state, now.captured_minor, now.refunded_minor) == (AttemptState.CAPTURED, 1999, 0)
    later = await create(sandbox, capture=Capture.ON_SHIPMENT)
    assert (later.state, later.captured_minor) == (AttemptState.AUTHORIZED, 0)
    assert now.reference != later.reference
    assert await webhooks(conn) == []


@pytest.mark.parametrize(("token", "reason"), [("tok_declined", "card_declined"), ("tok_of_nobody", "unknown_token")])
async def test_a_decline_is_news_with_its_reason(sandbox: Sandbox, token: str, reason: str):
    news = await create(sandbox, token)
    assert (news.state, news.reason, news.captured_minor) == (AttemptState.FAILED, reason, 0)


@pytest.mark.parametrize(
    ("capture", "state", "captured"),
    [(Capture.NOW, AttemptState.CAPTURED, 1999), (Capture.ON_SHIPMENT, AttemptState.AUTHORIZED, 0)],
)
async def test_what_requires_an_action_goes_on_when_it_is_confirmed(
    sandbox: Sandbox, capture: Capture, state: AttemptState, captured: int
):
    news = await create(sandbox, "tok_action_required", capture=capture)
    assert (news.state, news.captured_minor) == (AttemptState.ACTION_REQUIRED, 0)
    assert news.action_url is not None
    assert news.reference is not None
    for _ in range(2):
        confirmed = await sandbox.confirm(news.reference, key="again", seconds=5)
        assert (confirmed.state, confirmed.captured_minor, confirmed.action_url) == (state, captured, None)


async def test_timed_out_before_nothing_has_happened_until_it_is_tried_again(sandbox: Sandbox):
    intent = an_intent("tok_timeout_before")
    with pytest.raises(GatewayError) as away:
        await sandbox.create(intent, key="k", seconds=5)
    assert not away.value.definite
    assert await sandbox.look_up(intent.payment_id, None, seconds=5) is None
    news = await sandbox.create(intent, key="k", seconds=5)
    assert news.state is AttemptState.CAPTURED
    assert await sandbox.look_up(intent.payment_id, None, seconds=5) == news


async def test_timed_out_after_it_is_charged_and_says_so_when_it_is_asked_again(sandbox: Sandbox):
    intent = an_intent("tok_timeout_after")
    with pytest.raises(GatewayError) as away:
        await sandbox.create(intent, key="k", seconds=5)
    assert not away.value.definite
    charged = await sandbox.look_up(intent.payment_id, None, seconds=5)
    assert charged is not None
    assert (charged.state, charged.captured_minor) == (AttemptState.CAPTURED, 1999)
    assert await sandbox.create(intent, key="k", seconds=5) == charged


async def test_a_late_webhook_tells_of_a_charge_that_the_answer_left_open(sandbox: Sandbox, conn: Any):
    intent = an_intent("tok_late_webhook")
    for _ in range(2):
        news = await sandbox.create(intent, key="k", seconds=5)
        assert (news.state, news.captured_minor) == (AttemptState.PENDING, None)
    charged = await sandbox.look_up(intent.payment_id, news.reference, seconds=5)
    assert charged is not None
    assert charged.state is AttemptState.CAPTURED
    (sent,) = await webhooks(conn)
    assert sent["type"] == "payment.succeeded"
    assert 8 < sent["wait"] <= 10


async def test_a_duplicate_webhook_comes_twice_with_the_same_id(sandbox: Sandbox, conn: Any):
    news = await create(sandbox, "tok_duplicate_webhook")
    assert news.state is AttemptState.CAPTURED
    first, second = await webhooks(conn)
    assert first["id"] == second["id"]
    assert first["wait"] <= 0


async def test_without_an_address_no_webhook_is_queued(settings: Settings, conn: Any):
    gateway = Sandbox(settings, settings.sandbox_signer())  # type: ignore[arg-type]
    await create(gateway, "tok_duplicate_webhook")
    await gateway.close()
    assert await webhooks(conn) == []


async def test_the_same_key_is_the_same_payment_and_another_key_another_one(sandbox: Sandbox):
    intent = an_intent()
    same = await asyncio.gather(*(sandbox.create(intent, key="k", seconds=5) for _ in range(8)))
    other = await sandbox.create(intent, key="another", seconds=5)
    assert len({news.reference for news in same}) == 1
    assert other.reference != same[0].reference
    page = await sandbox.charges(
        datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1), None, seconds=5
    )
    assert len(page.charges) == 2, "as at a real gateway, a new key charges once more"


async def test_a_key_is_good_for_one_payment(sandbox: Sandbox):
    await create(sandbox, key="k")
    with pytest.raises(GatewayRefusedError) as refused:
        await create(sandbox, key="k")
    assert refused.value.code == "idempotency_key_reused"


async def test_what_was_authorized_is_captured_in_part_and_once(sandbox: Sandbox):
    news = await create(sandbox, capture=Capture.ON_SHIPMENT)
    assert news.reference is not None
    with pytest.raises(GatewayRefusedError, match="2000 of 1999"):
        await sandbox.capture(news.reference, 2000, "USD", key="a", seconds=5)
    with pytest.raises(GatewayRefusedError, match="in USD, not in EUR"):
        await sandbox.capture(news.reference, 1000, "EUR", key="a", seconds=5)
    for amount in (1500, 1999):
        taken = await sandbox.capture(news.reference, amount, "USD", key="a", seconds=5)
        assert (taken.state, taken.captured_minor) == (AttemptState.CAPTURED, 1500)


async def test_what_was_voided_is_never_taken(sandbox: Sandbox):
    news = await create(sandbox, capture=Capture.ON_SHIPMENT)
    assert news.reference is not None
    for _ in range(2):
        assert (await sandbox.void(news.reference, key="v", seconds=5)).state is AttemptState.VOIDED
    with pytest.raises(GatewayRefusedError) as refused:
        await sandbox.capture(news.reference, 1, "USD", key="a", seconds=5)
    assert refused.value.code == "voided"


async def test_voiding_what_was_captured_after_all_tells_that_it_was(sandbox: Sandbox):
    news = await create(sandbox)
    assert news.reference is not None
    assert (await sandbox.void(news.reference, key="v", seconds=5)).state is AttemptState.CAPTURED


async def test_no_more_is_given_back_than_was_taken_however_many_ask_at_once(sandbox: Sandbox):
    news = await create(sandbox)
    reference = news.reference
    assert reference is not None

    async def refund(number: int) -> str:
        try:
            given = await sandbox.refund(reference, number, 500, "USD", key=f"r{number}", seconds=5)
        except GatewayRefusedError as refused:
            return refused.code
        assert given.refund_no == number
        assert await sandbox.find_refund(reference, number, seconds=5) == given
        return str(given.state)

    answers = await asyncio.gather(*(refund(number) for number in range(6)))
    assert sorted(answers) == ["amount_too_large"] * 3 + [RefundState.SUCCEEDED] * 3
    assert [await refund(number) for number in range(6)] == list(answers), "the same keys, the same answers"
    now = await sandbox.look_up(new_id(), reference, seconds=5)
    assert now is not None
    assert now.refunded_minor == 1500
    refused = [number for number in range(6) if answers[number] != RefundState.SUCCEEDED]
    assert await sandbox.find_refund(reference, refused[0], seconds=5) is None
    assert await sandbox.find_refund("sbx_0", 0, seconds=5) is None


async def test_what_a_webhook_said_was_paid_can_be_refunded_whatever_the_books_say(sandbox: Sandbox):
    news = await create(sandbox, "tok_action_required")
    assert news.reference is not None
    given = await sandbox.refund(news.reference, 0, 1999, "USD", key="r", seconds=5)
    assert given.state is RefundState.SUCCEEDED
    with pytest.raises(GatewayRefusedError):
        await sandbox.refund(news.reference, 1, 1, "USD", key="s", seconds=5)


async def test_what_nobody_made_is_refused(sandbox: Sandbox):
    for call in (
        sandbox.confirm("sbx_0", key="k", seconds=5),
        sandbox.capture("sbx_0", 1, "USD", key="k", seconds=5),
        sandbox.void("sbx_0", key="k", seconds=5),
        sandbox.refund("sbx_0", 0, 1, "USD", key="k", seconds=5),
    ):
        with pytest.raises(GatewayRefusedError) as refused:
            await call
        assert refused.value.code == "unknown_intent"
    assert await sandbox.look_up(new_id(), "sbx_0", seconds=5) is None


async def test_the_books_are_read_in_pages_each_payment_once(sandbox: Sandbox):
    since = datetime.now(UTC) - timedelta(minutes=1)
    ids = {(await create(sandbox)).payment_id for _ in range(PAGE_SIZE + 5)}
    with pytest.raises(GatewayError):
        await create(sandbox, "tok_timeout_before")
    until, after, seen = datetime.now(UTC) + timedelta(minutes=1), None, []
    while True:
        page = await sandbox.charges(since, until, after, seconds=5)
        seen += [charge.news.payment_id for charge in page.charges]
        after = page.after
        if after is None:
            break
    assert len(seen) == len(ids)
    assert set(seen) == ids
    assert (await sandbox.charges(since, since, None, seconds=5)).charges == []


NOTICES = {
    "payment.succeeded": ({}, News(succeeded=True)),
    "payment.succeeded in part": (
        {"amount": 5, "currency": "USD"},
        News(succeeded=True, amount_minor=5, currency="USD"),
    ),
    "payment.failed": ({"reason": "expired_card"}, News(state=AttemptState.FAILED, reason="expired_card")),
    "payment.action_required": (
        {"action_url": "https://bank.example/3ds"},
        News(state=AttemptState.ACTION_REQUIRED, action_url="https://bank.example/3ds"),
    ),
    "payment.authorized": ({}, News(state=AttemptState.AUTHORIZED)),
    "payment.captured": ({"amount": 7}, News(state=AttemptState.CAPTURED, captured_minor=7)),
    "payment.voided": ({}, News(state=AttemptState.VOIDED)),
    "payment.refunded": ({"amount": 3}, News(refunded_minor=3)),
}


@pytest.mark.parametrize(("kind", "said"), NOTICES.items(), ids=NOTICES.keys())
async def test_a_webhook_about_a_payment_is_read(sandbox: Sandbox, kind: str, said: tuple[dict[str, Any], News]):
    payment, kind, (data, news) = new_id(), kind.partition(" ")[0], said
    body, fields = webhook(kind, payment, webhook_id="msg_1", reference="sbx_1", **data)
    notice = sandbox.verify(body, fields)
    assert (notice.id, notice.type) == ("msg_1", kind)
    assert notice.payment == msgspec.structs.replace(news, payment_id=payment, reference="sbx_1")


async def test_a_webhook_about_a_refund_or_a_chargeback_names_its_payment(sandbox: Sandbox):
    payment = new_id()
    refund = sandbox.verify(*webhook("refund.failed", payment, refund_id="sbr_1", refund_no=2, reason="closed"))
    assert refund.payment == News(payment_id=payment)
    assert refund.refund is not None
    assert (refund.refund.state, refund.refund.refund_no) == (RefundState.FAILED, 2)
    opened = sandbox.verify(*webhook("chargeback.opened", payment, chargeback_id="cb_1", amount=9, fee=2))
    won = sandbox.verify(*webhook("chargeback.won", payment))
    assert opened.payment == won.payment == News(payment_id=payment)
    assert opened.dispute is not None
    assert (opened.dispute.state, opened.dispute.amount_minor, opened.dispute.fee_minor) == (DisputeState.OPENED, 9, 2)
    assert won.dispute is not None
    assert (won.dispute.state, won.dispute.amount_minor) == (DisputeState.WON, None)


async def test_a_webhook_of_an_unknown_type_says_nothing(sandbox: Sandbox):
    notice = sandbox.verify(*webhook("payment.dreamt_of", new_id()))
    assert (notice.payment, notice.refund, notice.dispute) == (None, None, None)


async def test_a_webhook_that_cannot_be_read_is_told_from_one_that_is_not_signed(sandbox: Sandbox):
    body, fields = webhook("payment.succeeded", new_id())
    with pytest.raises(BadSignatureError):
        sandbox.verify(body + b" ", fields)
    with pytest.raises(BadSignatureError):
        sandbox.verify(*webhook("payment.succeeded", new_id(), secret="whsec_b3RoZXIgc2VjcmV0"))
    with pytest.raises(BadNoticeError, match="payment_id"):
        sandbox.verify(*webhook("payment.succeeded", "no id"))  # type: ignore[arg-type]
    with pytest.raises(BadNoticeError, match="webhook-id"):
        sandbox.verify(*webhook("payment.succeeded", new_id(), webhook_id="m" * 256))


async def test_no_secret_shows_in_what_is_printed(sandbox: Sandbox, settings: Settings):
    assert SANDBOX_SECRET not in repr(sandbox) + repr(settings.sandbox_signer())
