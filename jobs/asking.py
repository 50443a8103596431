"""Asking a gateway: what its silence, its refusal and its absence mean for the effect that asks."""

from collections.abc import Awaitable, Callable
from typing import Any

from domain.journal.declare import Attempt
from domain.journal.model import Answered, EffectOutcome, PutOff, Rejected, TryAgain
from domain.payments.going_on import Target
from domain.payments.news import News, RefundNews
from domain.payments.reconciliation import RefundOrphan
from domain.rejections import Code, Rejection
from infra.gateways import registry
from infra.gateways.protocol import Gateway, GatewayError, GatewayRefusedError
from infra.parties import OutOfReachError


async def ask(name: str, call: Callable[[Gateway], Awaitable[Any]]) -> EffectOutcome:
    """Call a gateway; its answer is settled, whatever keeps it from answering is waited for."""
    gateway = registry.gateway(name)
    if gateway is None:
        return TryAgain(f"this deployment has no gateway {name}: its settings are missing", definite=True)
    try:
        return Answered(await call(gateway))
    except OutOfReachError as away:
        return PutOff(str(away), away.after_seconds)
    except GatewayError as error:
        return TryAgain(str(error), definite=error.definite)
    except GatewayRefusedError as error:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, f"the gateway refused: {error.code}"))


async def look(gateway: Gateway, target: Target, seconds: float) -> News:
    """How far a payment has come; one its gateway has never heard of has said nothing."""
    return await gateway.look_up(target.payment_id, target.reference, seconds=seconds) or News()


async def give_back(
    gateway: Gateway, attempt: Attempt[Any], what: Target | RefundOrphan, refund_no: int, *, key: str
) -> RefundNews:
    """Give back some of a payment, once: past the gateway's memory of keys it is asked first whether it has."""
    reference, seconds = what.reference or "", attempt.deadline_seconds
    if attempt.is_past(gateway.key_window_seconds):
        given = await gateway.find_refund(reference, refund_no, seconds=seconds / 2)
        if given is not None:
            return given
        seconds /= 2
    return await gateway.refund(reference, refund_no, what.amount_minor, what.currency, key=key, seconds=seconds)
