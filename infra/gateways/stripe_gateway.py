"""Stripe, through its official library: payment intents, refunds, disputes, webhooks.

Invariant: what Stripe has surely not done is told from what nobody knows. Only the first may be tried under another
key, because a second key charges a second time. No error holds our keys, a card or what a buyer typed.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import stripe
from stripe.params import PaymentIntentCreateParams

from domain.payments.news import AttemptState, Capture, Charge, Intent, News, Notice, RefundNews
from infra.gateways import stripe_objects as objects
from infra.gateways.protocol import BadNoticeError, BadSignatureError, ChargePage, GatewayError, GatewayRefusedError
from infra.gateways.stripe_money import UnsayableAmountError, to_stripe
from infra.gateways.stripe_objects import Event, PaymentIntent, news_of, notice_of, read, refund_news_of
from infra.settings import Settings

NAME = "stripe"
KEY_WINDOW_SECONDS = 23 * 3_600.0
"""Stripe remembers keys for at least 24 hours."""
PAGE_SIZE = 100
T = TypeVar("T")
_EVENT = msgspec.json.Decoder(Event).decode
# It would send how long our calls took, and an id of this machine.
stripe.enable_telemetry = False


class StripeGateway:
    """The gateway ``stripe``."""

    name = NAME
    key_window_seconds = KEY_WINDOW_SECONDS

    def __init__(self, config: Settings) -> None:
        self._secret = config.stripe_webhook_secret
        self._site = config.link_base()
        self._http = stripe.HTTPXClient(timeout=config.payment_seconds)
        client = stripe.StripeClient(
            config.stripe_secret_key,
            base_addresses={"api": config.stripe_api_base.rstrip("/")},
            # The journal tries again, and knows when.
            max_network_retries=0,
            http_client=self._http,
        )
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    async def create(self, intent: Intent, *, key: str, seconds: float) -> News:
        """Make a payment intent and confirm it; the buyer comes back to the site after an action."""
        asked = self._asked(intent)
        try:
            made = await _answer(self._intents.create_async(asked, {"idempotency_key": key}), seconds)
        except stripe.CardError as declined:
            return _declined(intent, declined)
        return news_of(made)

    async def confirm(self, reference: str, *, key: str, seconds: float) -> News:
        """What became of the buyer's action; an intent that waits for us only is confirmed."""
        found = await self._retrieved(reference, seconds)
        if found.status != "requires_confirmation":
            return news_of(found)
        try:
            call = self._intents.confirm_async(reference, {"return_url": self._site}, {"idempotency_key": key})
            return news_of(await _answer(call, seconds))
        except stripe.CardError:
            return news_of(await self._retrieved(reference, seconds))

    async def capture(self, reference: str, amount_minor: int, currency: str, *, key: str, seconds: float) -> News:
        """Take what was authorized, or less of it."""
        amount = _said(amount_minor, currency)
        call = self._intents.capture_async(reference, {"amount_to_capture": amount}, {"idempotency_key": key})
        return await self._moved(reference, call, {AttemptState.CAPTURED}, seconds)

    async def void(self, reference: str, *, key: str, seconds: float) -> News:
        """Cancel what wasn't captured."""
        call = self._intents.cancel_async(reference, {}, {"idempotency_key": key})
        return await self._moved(reference, call, {AttemptState.CAPTURED, AttemptState.VOIDED}, seconds)

    async def refund(
        self, reference: str, refund_no: int, amount_minor: int, currency: str, *, key: str, seconds: float
    ) -> RefundNews:
        """Give back some of what was captured."""
        amount = _said(amount_minor, currency)
        made = await _asked_of(
            self._refunds.create_async(
                {"payment_intent": reference, "amount": amount, "metadata": {objects.REFUND_NO: str(refund_no)}},
                {"idempotency_key": key},
            ),
            seconds,
        )
        return refund_news_of(msgspec.convert(made, objects.Refund))

    async def find_refund(self, reference: str, refund_no: int, *, seconds: float) -> RefundNews | None:
        """Look through the refunds of a payment for the one with our number."""
        wanted: dict[str, Any] = {"payment_intent": reference, "limit": PAGE_SIZE}
        async with asyncio.timeout(seconds):
            while True:
                found = await _asked_of(self._refunds.list_async(wanted), seconds)  # type: ignore[arg-type] # in steps
                page = [msgspec.convert(one, objects.Refund) for one in found["data"]]
                for news in map(refund_news_of, page):
                    if news.refund_no == refund_no:
                        return news
                if not found["has_more"] or not page:
                    return None
                wanted["starting_after"] = page[-1].id

    async def look_up(self, payment_id: UUID, reference: str | None, *, seconds: float) -> News | None:
        """What Stripe knows. Without its reference Stripe is searched, which finds a payment within a minute or so."""
        if reference is not None:
            try:
                return news_of(await self._retrieved(reference, seconds))
            except GatewayRefusedError as refused:
                if refused.code == "resource_missing":
                    return None
                raise
        query = f"metadata['{objects.PAYMENT}']:'{payment_id}'"
        found = await _asked_of(self._intents.search_async({"query": query, "expand": ["data.latest_charge"]}), seconds)
        news = [news_of(read(one)) for one in found["data"]]
        return max(news, key=lambda one: list(AttemptState).index(one.state or AttemptState.PENDING), default=None)

    async def charges(self, since: datetime, until: datetime, after: str | None, *, seconds: float) -> ChargePage:
        """A page of the payments that this site made, newest first."""
        wanted: dict[str, Any] = {
            "created": {"gte": ceil(since.timestamp()), "lt": ceil(until.timestamp())},
            "limit": PAGE_SIZE,
            "expand": ["data.latest_charge"],
        }
        if after is not None:
            wanted["starting_after"] = after
        found = await _asked_of(self._intents.list_async(wanted), seconds)  # type: ignore[arg-type] # built in steps
        page = [read(one) for one in found["data"]]
        ours = [one for one in page if one.metadata.get(objects.SITE) == self._site]
        return ChargePage(
            [Charge(news_of(one), datetime.fromtimestamp(one.created, UTC)) for one in ours],
            page[-1].id if page and found["has_more"] else None,
        )

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        """Read an event that Stripe signed."""
        signature = headers.get("stripe-signature", "")
        try:
            stripe.WebhookSignature.verify_header(body, signature, self._secret, stripe.Webhook.DEFAULT_TOLERANCE)
        except stripe.SignatureVerificationError as error:
            raise BadSignatureError(_no_signature(error)) from None
        except (ValueError, TypeError):
            # What isn't text can't have been signed, nor can a signature that isn't ASCII be one.
            raise BadSignatureError("no signature of it holds") from None
        try:
            return notice_of(_EVENT(body))
        except (msgspec.MsgspecError, UnsayableAmountError) as error:
            raise BadNoticeError(str(error)) from None

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self._http.close_async()  # type: ignore[no-untyped-call] # the library left it out

    def _asked(self, intent: Intent) -> PaymentIntentCreateParams:
        asked: PaymentIntentCreateParams = {
            "amount": _said(intent.amount_minor, intent.currency),
            "currency": intent.currency.lower(),
            "confirm": True,
            "capture_method": "automatic" if intent.capture is Capture.NOW else "manual",
            "automatic_payment_methods": {"enabled": True},
            "return_url": self._site,
            "description": f"Order {intent.order_number}",
            "metadata": {
                objects.PAYMENT: str(intent.payment_id),
                objects.ORDER: str(intent.order_id),
                objects.NUMBER: intent.order_number,
                objects.SITE: self._site,
            },
        }
        if intent.token.startswith("ctoken_"):
            asked["confirmation_token"] = intent.token
        elif intent.token.startswith("tok_"):
            asked["payment_method_data"] = {"type": "card", "card": {"token": intent.token}}  # type: ignore[typeddict-unknown-key] # documented, and missing in the library's types
        else:
            asked["payment_method"] = intent.token
        return asked

    async def _retrieved(self, reference: str, seconds: float) -> PaymentIntent:
        call = self._intents.retrieve_async(reference, {"expand": ["latest_charge"]})
        return read(await _asked_of(call, seconds))

    async def _moved(
        self, reference: str, call: Awaitable[stripe.PaymentIntent], there: set[AttemptState], seconds: float
    ) -> News:
        """Move an intent; one that can't be moved because it is there already is news."""
        try:
            return news_of(read(await _asked_of(call, seconds)))
        except GatewayRefusedError as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            news = news_of(await self._retrieved(reference, seconds))
            if news.state in there:
                return news
            raise


async def _answer(call: Awaitable[stripe.PaymentIntent], seconds: float) -> PaymentIntent:
    """A payment intent; a decline is CardError still."""
    return read(await _asked_of(call, seconds))


async def _asked_of(call: Awaitable[Any], seconds: float) -> dict[str, Any]:
    """What Stripe answers; raises CardError, GatewayError or GatewayRefusedError."""
    try:
        async with asyncio.timeout(seconds):
            answer = await call
    except stripe.CardError:
        raise
    except TimeoutError:
        raise GatewayError("stripe gave no answer in time", definite=False) from None
    except stripe.StripeError as error:
        raise _verdict(error) from None
    said: dict[str, Any] = answer.to_dict()
    return said


def _verdict(error: stripe.StripeError) -> GatewayError | GatewayRefusedError:
    """What an error means for the call. The request's id is what Stripe's support asks for."""
    named = f"stripe answered {error.http_status} {error.code or ''}".rstrip()
    told = f"{named} ({error.request_id})" if error.request_id else named
    if isinstance(error, stripe.InvalidRequestError):
        return GatewayRefusedError(error.code or "invalid_request", told)
    if isinstance(error, stripe.APIConnectionError):
        return GatewayError("stripe can't be reached", definite=False)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return GatewayError(f"{told}: look at STRIPE_SECRET_KEY", definite=True)
    if isinstance(error, stripe.RateLimitError):
        return GatewayError(told, definite=True)
    # A conflict of keys: what the key was used for is under way, or has happened. So no other key; in the end a person
    # looks at it. A 5xx: Stripe itself says that its outcome is to be taken for unknown.
    conflict = isinstance(error, stripe.IdempotencyError) or error.http_status == 409
    return GatewayError(told, definite=False, technical=not conflict)


def _declined(intent: Intent, error: stripe.CardError) -> News:
    body: Any = error.json_body
    said = body.get("error", {}) if isinstance(body, dict) else {}
    reason = objects.reason_of(msgspec.convert(said, objects.Failure))
    made = said.get("payment_intent") or {}
    return News(
        payment_id=intent.payment_id,
        reference=made.get("id"),
        state=AttemptState.FAILED,
        amount_minor=intent.amount_minor,
        currency=intent.currency,
        reason=reason,
    )


def _said(amount_minor: int, currency: str) -> int:
    try:
        return to_stripe(amount_minor, currency)
    except UnsayableAmountError as error:
        raise GatewayRefusedError("amount_not_representable", str(error)) from None


def _no_signature(error: stripe.SignatureVerificationError) -> str:
    said = error.user_message or ""
    return "its time is more than five minutes ago" if said.startswith("Timestamp") else "no signature of it holds"
