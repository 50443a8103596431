"""A gateway as the outside party it is: with its time-out, its limit of calls at a time, and its circuit breaker.

Invariant: what isn't asked says so (``OutOfReachError``), and a call that ran out of time is one whose outcome nobody
knows. Reading a webhook asks nobody.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from domain.payments.news import Intent, News, Notice, RefundNews
from infra.gateways.protocol import ChargePage, Gateway, GatewayError
from infra.parties import Party

T = TypeVar("T")


class GuardedGateway:
    """Hands each call on to a gateway."""

    def __init__(self, gateway: Gateway, party: Party) -> None:
        self.name = gateway.name
        self.key_window_seconds = gateway.key_window_seconds
        self._gateway = gateway
        self._party = party

    async def create(self, intent: Intent, *, key: str, seconds: float) -> News:
        """See Gateway."""
        return await self._run(lambda left: self._gateway.create(intent, key=key, seconds=left), seconds)

    async def confirm(self, reference: str, *, key: str, seconds: float) -> News:
        """See Gateway."""
        return await self._run(lambda left: self._gateway.confirm(reference, key=key, seconds=left), seconds)

    async def capture(self, reference: str, amount_minor: int, currency: str, *, key: str, seconds: float) -> News:
        """See Gateway."""
        return await self._run(
            lambda left: self._gateway.capture(reference, amount_minor, currency, key=key, seconds=left), seconds
        )

    async def void(self, reference: str, *, key: str, seconds: float) -> News:
        """See Gateway."""
        return await self._run(lambda left: self._gateway.void(reference, key=key, seconds=left), seconds)

    async def refund(
        self, reference: str, refund_no: int, amount_minor: int, currency: str, *, key: str, seconds: float
    ) -> RefundNews:
        """See Gateway."""
        return await self._run(
            lambda left: self._gateway.refund(reference, refund_no, amount_minor, currency, key=key, seconds=left),
            seconds,
        )

    async def find_refund(self, reference: str, refund_no: int, *, seconds: float) -> RefundNews | None:
        """See Gateway."""
        return await self._run(lambda left: self._gateway.find_refund(reference, refund_no, seconds=left), seconds)

    async def look_up(self, payment_id: UUID, reference: str | None, *, seconds: float) -> News | None:
        """See Gateway."""
        return await self._run(lambda left: self._gateway.look_up(payment_id, reference, seconds=left), seconds)

    async def charges(self, since: datetime, until: datetime, after: str | None, *, seconds: float) -> ChargePage:
        """See Gateway."""
        return await self._run(lambda left: self._gateway.charges(since, until, after, seconds=left), seconds)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        """See Gateway."""
        return self._gateway.verify(body, headers)

    async def close(self) -> None:
        """See Gateway."""
        await self._gateway.close()

    async def _run(self, call: Callable[[float], Awaitable[T]], seconds: float) -> T:
        try:
            return await self._party.run(call, seconds)
        except TimeoutError:
            raise GatewayError(f"{self.name} gave no answer in time", definite=False) from None
