"""The sandbox: a gateway that does at once, and always alike, what real ones do now and then.

Invariant: what happens is told by the token alone (``docs/payments.md``), and the books say the same whoever asks.
What it pretends to time out is raised at once; nobody waits for it. No money moves anywhere.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from domain.journal.keys import digest
from domain.journal.model import SYSTEM, NewCommand
from domain.payments.news import (
    AttemptState,
    Capture,
    Charge,
    DisputeNews,
    DisputeState,
    Intent,
    News,
    Notice,
    RefundNews,
    RefundState,
)
from domain.payments.sandbox import SandboxData, SandboxWebhook, SendSandboxWebhook
from infra.clock import new_id
from infra.gateways import sandbox_books as books
from infra.gateways.protocol import BadNoticeError, BadSignatureError, ChargePage, GatewayError, GatewayRefusedError
from infra.gateways.sandbox_books import Books, Entry
from infra.settings import Settings
from infra.standard_webhooks import SignatureError, Signer

NAME = "sandbox"
OK = "tok_ok"
DECLINED = "tok_declined"
ACTION_REQUIRED = "tok_action_required"
TIMEOUT_BEFORE = "tok_timeout_before"
TIMEOUT_AFTER = "tok_timeout_after"
LATE_WEBHOOK = "tok_late_webhook"
DUPLICATE_WEBHOOK = "tok_duplicate_webhook"

_REASONS = {DECLINED: "card_declined"}
_GOOD = frozenset({OK, TIMEOUT_BEFORE, TIMEOUT_AFTER, LATE_WEBHOOK, DUPLICATE_WEBHOOK})
PAGE_SIZE = 100
KEY_WINDOW_SECONDS = 366 * 86_400.0
_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(SandboxWebhook).decode


class PretendedTimeoutError(GatewayError):
    """What a token asked for: it says nothing of how the sandbox is, so no breaker counts it."""

    def __init__(self) -> None:
        super().__init__("the sandbox gave no answer in time, as its token says", definite=False, technical=False)


class Sandbox:
    """The gateway ``sandbox``."""

    name = NAME
    key_window_seconds = KEY_WINDOW_SECONDS

    def __init__(self, settings: Settings, signer: Signer) -> None:
        self._books = Books(settings)
        self._signer = signer
        self._late_seconds = settings.sandbox_late_seconds
        # Without an address nobody hears of them: what was charged is found when the books are compared.
        self._sends = bool(settings.sandbox_webhook_url)

    async def create(self, intent: Intent, *, key: str, seconds: float) -> News:  # noqa: ARG002 - Gateway's
        """Take what the token says."""
        state, reason = _outcome(intent)
        reference = f"sbx_{digest(key.encode()).hex()}"
        entry = await self._books.create(
            reference,
            intent,
            state,
            captured_minor=intent.amount_minor if state is AttemptState.CAPTURED else 0,
            reason=reason,
            webhooks=self._webhooks(intent, reference) if self._sends else (),
        )
        if (entry.payment_id, entry.amount_minor, entry.currency) != (
            intent.payment_id,
            intent.amount_minor,
            intent.currency,
        ):
            raise GatewayRefusedError("idempotency_key_reused", "the key was used for another payment")
        if entry.new and intent.token in {TIMEOUT_BEFORE, TIMEOUT_AFTER}:
            raise PretendedTimeoutError
        if intent.token == LATE_WEBHOOK:
            return News(
                payment_id=entry.payment_id,
                reference=reference,
                state=AttemptState.PENDING,
                amount_minor=entry.amount_minor,
                currency=entry.currency,
            )
        return _news(entry)

    async def confirm(self, reference: str, *, key: str, seconds: float) -> News:  # noqa: ARG002 - Gateway's
        """The buyer has acted: it goes well."""
        entry, _ = await self._books.change(books.CONFIRM, reference)
        return _news(_known(entry))

    async def capture(
        self,
        reference: str,
        amount_minor: int,
        currency: str,
        *,
        key: str,  # noqa: ARG002 - a payment is captured once
        seconds: float,  # noqa: ARG002 - Gateway's
    ) -> News:
        """Take what was authorized, or less of it."""
        found, changed = await self._books.change(books.CAPTURE, reference, amount_minor, currency)
        entry = _known(found)
        if not changed and entry.state is not AttemptState.CAPTURED:
            raise _refusal(entry, currency, f"{amount_minor} of {entry.amount_minor} can't be captured")
        return _news(entry)

    async def void(self, reference: str, *, key: str, seconds: float) -> News:  # noqa: ARG002 - Gateway's
        """Cancel what wasn't captured."""
        entry, _ = await self._books.change(books.VOID, reference)
        return _news(_known(entry))

    async def refund(
        self,
        reference: str,
        refund_no: int,
        amount_minor: int,
        currency: str,
        *,
        key: str,
        seconds: float,  # noqa: ARG002 - Gateway's
    ) -> RefundNews:
        """Give back, never more than was captured."""
        refund = f"{_refund_name(refund_no)}{digest(key.encode()).hex()}"
        found, changed = await self._books.change(books.REFUND, reference, refund, amount_minor, currency)
        entry = _known(found)
        if not changed and refund not in entry.refunds:
            given = f"{entry.refunded_minor} of {entry.captured_minor} was given back"
            raise _refusal(entry, currency, f"{given}: {amount_minor} more can't be")
        return RefundNews(RefundState.SUCCEEDED, refund, refund_no)

    async def find_refund(self, reference: str, refund_no: int, *, seconds: float) -> RefundNews | None:  # noqa: ARG002 - Gateway's
        """What the books say of a refund."""
        entry = await self._books.load(reference)
        named = (name for name in entry.refunds if name.startswith(_refund_name(refund_no))) if entry else iter(())
        name = next(named, None)
        return None if name is None else RefundNews(RefundState.SUCCEEDED, name, refund_no)

    async def look_up(self, payment_id: UUID, reference: str | None, *, seconds: float) -> News | None:  # noqa: ARG002 - Gateway's
        """What the books say."""
        entry = (
            await self._books.load_by_payment(payment_id) if reference is None else await self._books.load(reference)
        )
        return None if entry is None else _news(entry)

    async def charges(
        self,
        since: datetime,
        until: datetime,
        after: str | None,
        *,
        seconds: float,  # noqa: ARG002 - Gateway's
    ) -> ChargePage:
        """A page of the books, oldest first."""
        entries = await self._books.page(since, until, after, PAGE_SIZE + 1)
        shown = entries[:PAGE_SIZE]
        return ChargePage(
            [Charge(_news(entry), entry.created_at) for entry in shown],
            shown[-1].reference if len(entries) > PAGE_SIZE else None,
        )

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        """Read a webhook: the sandbox's word, even where its books say otherwise, so that a tester can send any."""
        try:
            webhook_id = self._signer.verify(body, headers)
        except SignatureError as error:
            raise BadSignatureError(str(error)) from None
        if len(webhook_id) > 255:
            raise BadNoticeError("its webhook-id is longer than 255 characters")
        try:
            return notice_of(webhook_id, _DECODE(body))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadNoticeError(str(error)) from None

    async def close(self) -> None:
        """Close the connections to the books."""
        await self._books.close()

    def _webhooks(self, intent: Intent, reference: str) -> tuple[NewCommand, ...]:
        """What is sent of a payment with this token, and when."""
        copies, delay = {LATE_WEBHOOK: (1, self._late_seconds), DUPLICATE_WEBHOOK: (2, 0.0)}.get(intent.token, (0, 0.0))
        data = SandboxData(intent.payment_id, reference, intent.amount_minor, intent.currency)
        command = SendSandboxWebhook(f"msg_{reference}", SandboxWebhook("payment.succeeded", data))
        payload = _ENCODE(command).decode()
        return tuple(
            NewCommand(id=new_id(), principal=SYSTEM, command=command, payload=payload, delay_seconds=delay)
            for _ in range(copies)
        )


def _outcome(intent: Intent) -> tuple[AttemptState, str | None]:
    """What the books say of a new payment, and why if it fails."""
    if intent.token in _GOOD:
        return (AttemptState.CAPTURED if intent.capture is Capture.NOW else AttemptState.AUTHORIZED), None
    if intent.token == ACTION_REQUIRED:
        return AttemptState.ACTION_REQUIRED, None
    return AttemptState.FAILED, _REASONS.get(intent.token, "unknown_token")


def _refund_name(refund_no: int) -> str:
    return f"sbr_{refund_no}_"


def _known(entry: Entry | None) -> Entry:
    if entry is None:
        raise GatewayRefusedError("unknown_intent", "the sandbox has no such payment")
    return entry


def _refusal(entry: Entry, currency: str, too_much: str) -> GatewayRefusedError:
    if entry.currency != currency:
        return GatewayRefusedError("currency_mismatch", f"the payment is in {entry.currency}, not in {currency}")
    if entry.state is AttemptState.VOIDED:
        return GatewayRefusedError("voided", "the payment was voided")
    return GatewayRefusedError("amount_too_large", too_much)


def _news(entry: Entry) -> News:
    acts = entry.state is AttemptState.ACTION_REQUIRED
    return News(
        payment_id=entry.payment_id,
        reference=entry.reference,
        state=entry.state,
        amount_minor=entry.amount_minor,
        currency=entry.currency,
        captured_minor=entry.captured_minor,
        refunded_minor=entry.refunded_minor,
        reason=entry.reason,
        action_url=f"https://sandbox.invalid/actions/{entry.reference}" if acts else None,
    )


_STATES = {
    "payment.failed": AttemptState.FAILED,
    "payment.action_required": AttemptState.ACTION_REQUIRED,
    "payment.authorized": AttemptState.AUTHORIZED,
    "payment.captured": AttemptState.CAPTURED,
    "payment.voided": AttemptState.VOIDED,
}
_REFUNDS = {"refund.succeeded": RefundState.SUCCEEDED, "refund.failed": RefundState.FAILED}
_DISPUTES = {
    "chargeback.opened": DisputeState.OPENED,
    "chargeback.won": DisputeState.WON,
    "chargeback.lost": DisputeState.LOST,
}


def notice_of(webhook_id: str, webhook: SandboxWebhook) -> Notice:
    """What a webhook says; one of a type that nobody here knows says nothing."""
    kind, data = webhook.type, webhook.data
    about = News(payment_id=data.payment_id, reference=data.reference)
    if kind in _DISPUTES:
        dispute = DisputeNews(
            reference=data.chargeback_id or f"sbd_{data.payment_id.hex}",
            state=_DISPUTES[kind],
            amount_minor=data.amount,
            fee_minor=data.fee,
            currency=data.currency,
            reason=data.reason or "",
        )
        return Notice(webhook_id, kind, payment=about, dispute=dispute)
    if kind in _REFUNDS:
        reference = data.refund_id or f"sbr_{data.payment_id.hex}_{data.refund_no or 0}"
        refund = RefundNews(_REFUNDS[kind], reference, data.refund_no, data.reason)
        return Notice(webhook_id, kind, payment=about, refund=refund)
    if kind == "payment.refunded":
        return Notice(webhook_id, kind, payment=msgspec.structs.replace(about, refunded_minor=data.amount))
    if kind == "payment.succeeded":
        said = {"succeeded": True, "amount_minor": data.amount, "currency": data.currency}
        return Notice(webhook_id, kind, payment=msgspec.structs.replace(about, **said))
    if kind in _STATES:
        state = _STATES[kind]
        news = msgspec.structs.replace(
            about,
            state=state,
            currency=data.currency,
            captured_minor=data.amount if state is AttemptState.CAPTURED else None,
            reason=data.reason if state is AttemptState.FAILED else None,
            action_url=data.action_url if state is AttemptState.ACTION_REQUIRED else None,
        )
        return Notice(webhook_id, kind, payment=news)
    return Notice(webhook_id, kind)
