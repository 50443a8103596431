"""Stripe over real HTTP on loopback: what is asked of it, what its answers mean, and what a webhook of its says."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from domain.payments.news import AttemptState, Capture, News, RefundState
from infra.clock import new_id
from infra.gateways.protocol import GatewayError, GatewayRefusedError
from infra.gateways.registry import gateways_of
from infra.gateways.stripe_gateway import PAGE_SIZE, StripeGateway
from infra.gateways.stripe_money import UnsayableAmountError, from_stripe, to_stripe
from infra.parties import PartyOpenError
from tests import stripe_server as fake
from tests.gateways import an_intent
from tests.stripe_server import SECRET_KEY, StripeServer, config, stripe_server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def gateway_to(url: str, **given: str) -> AsyncIterator[StripeGateway]:
    made = StripeGateway(config(url, **given))
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with stripe_server() as running:
        yield running


@pytest.fixture
async def stripe(server: StripeServer) -> AsyncIterator[StripeGateway]:
    async with gateway_to(server.url) as made:
        yield made


async def create(stripe: StripeGateway, token: str = fake.VISA, *, key: str = "", **changes: Any) -> News:
    return await stripe.create(an_intent(token, **changes), key=key or new_id().hex, seconds=5)


async def paid(stripe: StripeGateway, **changes: Any) -> str:
    news = await create(stripe, **changes)
    assert news.reference is not None
    return news.reference


async def test_a_payment_is_asked_for_with_our_ids_and_taken_at_once(server: StripeServer, stripe: StripeGateway):
    intent = an_intent(fake.VISA)
    news = await stripe.create(intent, key="k-1", seconds=5)
    assert (news.payment_id, news.reference, news.state) == (intent.payment_id, "pi_1", AttemptState.CAPTURED)
    assert (news.amount_minor, news.captured_minor, news.refunded_minor, news.currency) == (1999, 1999, 0, "USD")
    (asked,) = server.asked
    assert asked.fields["idempotency-key"] == "k-1"
    assert "x-stripe-client-telemetry" not in asked.fields
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    assert form == {
        "amount": "1999",
        "currency": "usd",
        "confirm": "true",
        "capture_method": "automatic",
        "automatic_payment_methods[enabled]": "true",
        "return_url": "https://shop.example/en",
        "description": f"Order {intent.order_number}",
        "metadata[payment_id]": str(intent.payment_id),
        "metadata[order_id]": str(intent.order_id),
        "metadata[order_number]": intent.order_number,
        "metadata[site]": "https://shop.example/en",
        "payment_method": fake.VISA,
    }


@pytest.mark.parametrize(
    ("token", "field"),
    [
        ("pm_1", "payment_method"),
        ("ctoken_1", "confirmation_token"),
        ("tok_visa", "payment_method_data[card][token]"),
    ],
)
async def test_each_kind_of_token_goes_where_stripe_wants_it(
    server: StripeServer, stripe: StripeGateway, token: str, field: str
):
    await create(stripe, token)
    assert parse_qs(server.asked[0].body.decode())[field] == [token]


async def test_a_promised_payment_is_captured_in_part(stripe: StripeGateway):
    news = await create(stripe, capture=Capture.ON_SHIPMENT)
    assert (news.state, news.captured_minor) == (AttemptState.AUTHORIZED, 0)
    assert news.reference is not None
    taken = await stripe.capture(news.reference, 1500, "USD", key="c", seconds=5)
    assert (taken.state, taken.captured_minor) == (AttemptState.CAPTURED, 1500)
    again = await stripe.capture(news.reference, 1500, "USD", key="another", seconds=5)
    assert (again.state, again.captured_minor) == (AttemptState.CAPTURED, 1500), "it is there already"


async def test_more_than_was_authorized_is_refused(stripe: StripeGateway):
    reference = await paid(stripe, capture=Capture.ON_SHIPMENT)
    with pytest.raises(GatewayRefusedError) as refused:
        await stripe.capture(reference, 2000, "USD", key="c", seconds=5)
    assert refused.value.code == "amount_too_large"
    assert SECRET_KEY not in str(refused.value)


async def test_a_decline_is_news_with_the_banks_reason(stripe: StripeGateway):
    news = await create(stripe, fake.DECLINED)
    assert (news.state, news.reason, news.reference) == (AttemptState.FAILED, "insufficient_funds", "pi_1")
    looked_up = await stripe.look_up(new_id(), "pi_1", seconds=5)
    assert looked_up is not None
    assert (looked_up.state, looked_up.reason) == (AttemptState.FAILED, "insufficient_funds")


async def test_an_action_has_its_address_and_what_came_of_it_is_asked(server: StripeServer, stripe: StripeGateway):
    news = await create(stripe, fake.NEEDS_ACTION)
    assert news.state is AttemptState.ACTION_REQUIRED
    assert news.action_url == "https://hooks.stripe.example/redirect/authenticate"
    assert news.reference is not None
    waiting = await stripe.confirm(news.reference, key="f", seconds=5)
    assert waiting.state is AttemptState.ACTION_REQUIRED
    for status in ("requires_confirmation", "succeeded"):
        server.intents[news.reference].update(status=status, next_action=None)
        assert (await stripe.confirm(news.reference, key="g", seconds=5)).state is AttemptState.CAPTURED


async def test_what_a_bank_still_thinks_about_is_pending(stripe: StripeGateway):
    assert (await create(stripe, fake.SLOW_BANK)).state is AttemptState.PENDING


async def test_voiding_cancels_and_what_was_captured_after_all_is_told(stripe: StripeGateway):
    promised = await paid(stripe, capture=Capture.ON_SHIPMENT)
    for key in ("v", "w"):
        assert (await stripe.void(promised, key=key, seconds=5)).state is AttemptState.VOIDED
    taken = await paid(stripe)
    assert (await stripe.void(taken, key="x", seconds=5)).state is AttemptState.CAPTURED


async def test_a_refund_names_its_number_and_never_goes_over_what_was_taken(stripe: StripeGateway):
    reference = await paid(stripe)
    for _ in range(2):
        given = await stripe.refund(reference, 3, 1500, "USD", key="r", seconds=5)
        assert (given.state, given.reference, given.refund_no) == (RefundState.SUCCEEDED, "re_1", 3)
    with pytest.raises(GatewayRefusedError) as refused:
        await stripe.refund(reference, 4, 500, "USD", key="s", seconds=5)
    assert refused.value.code == "charge_already_refunded"
    now = await stripe.look_up(new_id(), reference, seconds=5)
    assert now is not None
    assert (now.captured_minor, now.refunded_minor) == (1999, 1500)


async def test_a_refund_is_found_by_its_number_among_hundreds(stripe: StripeGateway):
    reference, other = await paid(stripe), await paid(stripe)
    for number in range(1, 102):
        await stripe.refund(reference, number, 1, "USD", key=f"r{number}", seconds=5)
    found = await stripe.find_refund(reference, 1, seconds=5)
    assert found is not None
    assert (found.state, found.reference, found.refund_no) == (RefundState.SUCCEEDED, "re_1", 1)
    assert await stripe.find_refund(reference, 102, seconds=5) is None
    assert await stripe.find_refund(other, 1, seconds=5) is None


async def test_timed_out_after_charging_the_same_key_finds_the_one_charge(server: StripeServer, stripe: StripeGateway):
    intent = an_intent(fake.VISA)
    server.faults = ["after"]
    with pytest.raises(GatewayError) as away:
        await stripe.create(intent, key="k", seconds=0.3)
    assert not away.value.definite
    found = await stripe.look_up(intent.payment_id, None, seconds=5)
    assert found is not None
    assert found.state is AttemptState.CAPTURED
    assert (await stripe.create(intent, key="k", seconds=5)).reference == found.reference
    assert server.charges == 1


async def test_timed_out_before_charging_nothing_is_there(server: StripeServer, stripe: StripeGateway):
    intent = an_intent(fake.VISA)
    server.faults = ["before"]
    with pytest.raises(GatewayError) as away:
        await stripe.create(intent, key="k", seconds=0.3)
    assert not away.value.definite
    assert await stripe.look_up(intent.payment_id, None, seconds=5) is None
    assert await stripe.look_up(intent.payment_id, "pi_unknown", seconds=5) is None


@pytest.mark.parametrize(
    ("status", "definite", "technical"),
    [(500, False, True), (503, False, True), (409, False, False), (429, True, False), (401, True, False)],
)
async def test_an_error_tells_whether_it_may_have_happened(
    server: StripeServer, stripe: StripeGateway, status: int, definite: bool, technical: bool
):
    server.faults = [status]
    with pytest.raises(GatewayError) as raised:
        await create(stripe)
    assert (raised.value.definite, raised.value.technical) == (definite, technical)
    assert str(status) in str(raised.value)
    assert "req_1" in str(raised.value)
    assert SECRET_KEY not in str(raised.value)
    assert len(server.asked) == 1, "the library tries nothing again"


async def test_another_request_under_the_same_key_takes_no_other_key(server: StripeServer, stripe: StripeGateway):
    await create(stripe, key="k")
    with pytest.raises(GatewayError) as raised:
        await create(stripe, key="k")
    assert (raised.value.definite, raised.value.technical) == (False, False)


async def test_what_stripe_finds_wrong_is_refused_with_its_code(stripe: StripeGateway):
    with pytest.raises(GatewayRefusedError) as refused:
        await create(stripe, amount_minor=10)
    assert refused.value.code == "amount_too_small"
    with pytest.raises(GatewayRefusedError) as missing:
        await stripe.confirm("pi_unknown", key="k", seconds=5)
    assert missing.value.code == "resource_missing"


async def test_a_wrong_key_is_tried_again_until_somebody_sets_it(server: StripeServer):
    async with gateway_to(server.url, STRIPE_SECRET_KEY="sk_test_another_key") as wrong:
        with pytest.raises(GatewayError, match="STRIPE_SECRET_KEY") as raised:
            await create(wrong)
    assert raised.value.definite
    assert "another_key" not in str(raised.value)


async def test_nobody_there_is_unknown_and_opens_the_breaker():
    settings = config("http://127.0.0.1:1", BREAKER_FAILURES="2")
    stripe = gateways_of(settings)["stripe"]
    for _ in range(2):
        with pytest.raises(GatewayError, match="can't be reached") as away:
            await stripe.create(an_intent(fake.VISA), key="k", seconds=5)
        assert not away.value.definite
    with pytest.raises(PartyOpenError, match="the breaker of stripe is open"):
        await stripe.create(an_intent(fake.VISA), key="k", seconds=5)
    await stripe.close()


async def test_declines_and_refusals_leave_the_breaker_closed(server: StripeServer):
    stripe = gateways_of(config(server.url, BREAKER_FAILURES="2"))["stripe"]
    for _ in range(4):
        assert (await stripe.create(an_intent(fake.DECLINED), key=new_id().hex, seconds=5)).reason
        with pytest.raises(GatewayRefusedError):
            await stripe.create(an_intent(fake.VISA, amount_minor=1), key=new_id().hex, seconds=5)
    await stripe.close()


async def test_a_gateway_that_hangs_is_given_up_in_time(server: StripeServer):
    stripe = gateways_of(config(server.url, PAYMENT_SECONDS="0.2"))["stripe"]
    server.faults = ["before"]
    started = time.monotonic()
    with pytest.raises(GatewayError) as away:
        await stripe.create(an_intent(fake.VISA), key="k", seconds=30)
    assert not away.value.definite
    assert time.monotonic() - started < 5
    await stripe.close()


async def test_only_payments_of_this_site_are_listed_each_once(server: StripeServer, stripe: StripeGateway):
    since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    ids = {(await create(stripe)).payment_id for _ in range(PAGE_SIZE // 20)}
    async with gateway_to(server.url, PUBLIC_URL="https://staging.example") as other:
        await create(other)
    own = next(iter(server.intents.values()))
    for n in range(PAGE_SIZE):
        server.intents[f"pi_shop_{n}"] = own | {"id": f"pi_shop_{n}", "metadata": {}}
    seen, after, pages = [], None, 0
    while True:
        page = await stripe.charges(since, until, after, seconds=5)
        seen += [charge.news.payment_id for charge in page.charges]
        after, pages = page.after, pages + 1
        if after is None:
            break
    assert pages == 2
    assert (len(seen), set(seen)) == (len(ids), ids)
    assert (await stripe.charges(since, since, None, seconds=5)).charges == []


MONEY = [("USD", 1999, 1999), ("JPY", 500, 500), ("ISK", 5, 500), ("UGX", 5, 500), ("KWD", 5120, 5120)]


@pytest.mark.parametrize(("currency", "ours", "theirs"), [*MONEY, ("MGA", 500, 5)])
def test_amounts_are_said_in_stripes_units(currency: str, ours: int, theirs: int):
    assert to_stripe(ours, currency) == theirs
    assert from_stripe(theirs, currency) == ours


@pytest.mark.parametrize(("currency", "ours"), [("KWD", 5124), ("MGA", 550)])
async def test_what_cannot_be_said_is_refused_before_anything_is_sent(
    server: StripeServer, stripe: StripeGateway, currency: str, ours: int
):
    with pytest.raises(UnsayableAmountError):
        to_stripe(ours, currency)
    with pytest.raises(GatewayRefusedError) as refused:
        await create(stripe, amount_minor=ours, currency=currency)
    assert refused.value.code == "amount_not_representable"
    assert server.asked == []
