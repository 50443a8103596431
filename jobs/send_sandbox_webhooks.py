"""Send a webhook of the sandbox: signed, over real HTTP, so that its word arrives as that of other gateways does."""

from datetime import UTC, datetime

from domain.journal.declare import Attempt, effect
from domain.journal.model import EffectOutcome, Rejected, Succeeded, TryAgain
from domain.payments.sandbox import SendSandboxWebhook
from domain.rejections import Code, Rejection
from infra.gateways.sandbox_webhooks import RefusedError, UndeliveredError, courier


@effect(SendSandboxWebhook, lease_seconds=30.0, attempts_max=10, concurrency=8)
async def send_sandbox_webhooks(attempt: Attempt[SendSandboxWebhook]) -> EffectOutcome:
    """Send one webhook; it has the same id however often it is sent."""
    try:
        await courier().send(
            attempt.command,
            correlation=str(attempt.claimed.id),
            now=datetime.now(UTC),
            seconds=attempt.deadline_seconds * 0.9,
        )
    except RefusedError as refused:
        return Rejected(Rejection(422, Code.WEBHOOK_REFUSED, str(refused)))
    except UndeliveredError as undelivered:
        return TryAgain(str(undelivered), definite=undelivered.definite)
    return Succeeded()
