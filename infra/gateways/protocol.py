"""What a payment gateway does for us.

Invariant: a call that moves money carries an idempotency key; the same key gives the same answer and moves money once.
What a gateway answers is :class:`~domain.payments.news.News`, whatever the call was.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from domain.payments.news import Charge, Intent, News, Notice, RefundNews


class GatewayError(Exception):
    """The call came to nothing, or nobody knows; ``definite`` says that the gateway answered: nothing happened.

    ``technical`` says that the gateway is away, which is what its breaker counts; so it is when it gave no answer.
    """

    def __init__(self, error: str, *, definite: bool, technical: bool | None = None) -> None:
        super().__init__(error)
        self.definite = definite
        self.technical = not definite if technical is None else technical


class GatewayRefusedError(Exception):
    """The gateway won't do that, whenever it is asked: ``code`` is its own, the message is for an operator."""

    def __init__(self, code: str, error: str) -> None:
        super().__init__(error)
        self.code = code


class BadSignatureError(Exception):
    """A webhook isn't the gateway's, or it is too old; the message says which, and quotes nothing of it."""


class BadNoticeError(Exception):
    """A webhook is the gateway's, but it can't be read; the message says where."""


class ChargePage(Struct, frozen=True):
    """A page of a gateway's books; ``after`` asks for the next one, None on the last."""

    charges: Sequence[Charge]
    after: str | None


class Gateway(Protocol):
    """A payment gateway. A call raises GatewayError or GatewayRefusedError; a declined payment is news, no error.

    One of the registry's also raises ``infra.parties.OutOfReachError``: it wasn't asked, and its breaker is open or all
    its slots are taken.
    """

    name: str
    key_window_seconds: float
    """How long it remembers an idempotency key."""

    async def create(self, intent: Intent, *, key: str, seconds: float) -> News:
        """Make an intent and confirm it with the buyer's token."""

    async def confirm(self, reference: str, *, key: str, seconds: float) -> News:
        """Go on after the buyer has acted."""

    async def capture(self, reference: str, amount_minor: int, currency: str, *, key: str, seconds: float) -> News:
        """Take what was authorized, or less of it; the rest is given back."""

    async def void(self, reference: str, *, key: str, seconds: float) -> News:
        """Cancel an intent that hasn't been captured. One that is captured after all is news, too, not an error."""

    async def refund(
        self, reference: str, refund_no: int, amount_minor: int, currency: str, *, key: str, seconds: float
    ) -> RefundNews:
        """Give back some of what was captured."""

    async def find_refund(self, reference: str, refund_no: int, *, seconds: float) -> RefundNews | None:
        """How a refund went that was asked for under our number; None when the gateway has never heard of it."""

    async def look_up(self, payment_id: UUID, reference: str | None, *, seconds: float) -> News | None:
        """How far a payment has come; None when the gateway has never heard of it."""

    async def charges(self, since: datetime, until: datetime, after: str | None, *, seconds: float) -> ChargePage:
        """The payments made at the gateway between two times, oldest or newest first, a page at a time."""

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        """Read a webhook (header names in lower case); raises BadSignatureError or BadNoticeError."""

    async def close(self) -> None:
        """Close what it holds open."""
