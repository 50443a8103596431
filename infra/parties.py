"""Outside parties: who we call over a network, and what is done so that one that is away costs little.

Invariant: a party has a time-out for each call, a limit of calls at a time, and a circuit breaker. Some technical
failures in a row open it; while it is open nothing is sent, and who asks is told when to ask again. After that one
call tries whether the party is back. An answer is no failure, whatever it says. All of it is per process.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pybreaker
from msgspec import Struct

from infra import metrics, telemetry
from infra.settings import Settings

log = telemetry.logger()
T = TypeVar("T")
AGAIN_SECONDS = 1.0
"""When to ask again where nobody knows better: all slots are taken, or somebody is trying whether the party is back."""
SLOT_SHARE = 0.5
"""Of the time for a call: what it may wait for a slot."""


class OutOfReachError(Exception):
    """The party wasn't asked, so nothing has happened; ask again after ``after_seconds``."""

    def __init__(self, error: str, after_seconds: float) -> None:
        super().__init__(error)
        self.after_seconds = after_seconds


class PartyOpenError(OutOfReachError):
    """Its circuit breaker is open."""


class PartyBusyError(OutOfReachError):
    """As many calls as may be are under way."""


class Bounds(Struct, frozen=True):
    """How long a call may take, how many may be under way, how many failures in a row open the breaker, how long."""

    seconds: float
    concurrency: int
    failures: int
    open_seconds: float
    slot_seconds: float | None = None
    """how long a call may wait for a slot; without it, half of its time"""


class _Listener(pybreaker.CircuitBreakerListener):
    def __init__(self, party: "Party") -> None:
        self._party = party

    def failure(self, cb: pybreaker.CircuitBreaker, exc: BaseException) -> None:  # noqa: ARG002 - as the library calls it
        self._party.failed(exc)

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,  # noqa: ARG002 - as the library calls it
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        self._party.changed("" if old_state is None else old_state.name, new_state.name)


class Party:
    """One outside party. ``technical`` tells its failures from its answers; what isn't technical leaves it closed.

    ``counted_as`` is what figures call it: those of which there may be very many are counted together.
    """

    def __init__(
        self, name: str, bounds: Bounds, technical: Callable[[BaseException], bool], *, counted_as: str = ""
    ) -> None:
        self.name = name
        self._bounds = bounds
        self._slots = asyncio.Semaphore(bounds.concurrency)
        self._error = ""
        self._closed_at = 0.0
        self._trying = False
        self._open = metrics.BREAKER_OPEN.labels(counted_as or name)
        self._trips = metrics.BREAKER_TRIPS.labels(counted_as or name)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=bounds.failures,
            reset_timeout=bounds.open_seconds,
            exclude=[lambda error: not technical(error)],
            listeners=[_Listener(self)],
            name=name,
            throw_new_error_on_trip=False,
        )

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self._breaker.current_state != pybreaker.STATE_CLOSED

    async def run(self, call: Callable[[float], Awaitable[T]], seconds: float) -> T:
        """Make a call in at most ``seconds``, the wait for a slot included; it is told how long it has.

        Raises OutOfReachError without having made it, TimeoutError, or what the call raises.
        """
        self._admit()
        started = time.monotonic()
        try:
            patience = seconds * SLOT_SHARE if self._bounds.slot_seconds is None else self._bounds.slot_seconds
            async with asyncio.timeout(patience):
                await self._slots.acquire()
        except TimeoutError:
            raise PartyBusyError(
                f"{self._bounds.concurrency} calls to {self.name} are under way", AGAIN_SECONDS
            ) from None
        try:
            # It may have opened while we waited.
            trial = self._admit()
            left = min(self._bounds.seconds, seconds - (time.monotonic() - started))
            return await (self._try(call, left) if trial else self._call(call, left))
        finally:
            self._slots.release()

    async def _call(self, call: Callable[[float], Awaitable[T]], seconds: float) -> T:
        with self._breaker.calling():
            async with asyncio.timeout(seconds):
                return await call(seconds)
        raise AssertionError("a call returns or raises")

    async def _try(self, call: Callable[[float], Awaitable[T]], seconds: float) -> T:
        self._trying = True
        try:
            # By our own, monotonic clock: the library's would keep it open while the system's clock is set back.
            self._breaker.half_open()
            return await self._call(call, seconds)
        finally:
            self._trying = False

    def _admit(self) -> bool:
        """Whether the call is the one that tries if the party is back; raises PartyOpenError."""
        if not self.is_open:
            return False
        wait = self._closed_at - time.monotonic()
        if wait > 0:
            raise PartyOpenError(f"the breaker of {self.name} is open: {self._error}", wait)
        if self._trying:
            raise PartyOpenError(f"the breaker of {self.name} is open: one call tries it", AGAIN_SECONDS)
        return True

    def failed(self, error: BaseException) -> None:
        """Note why, for whoever reads why things wait."""
        self._error = (str(error) or type(error).__name__)[:500]

    def changed(self, before: str, now: str) -> None:
        """Say so. A call that began before it opened may fail after: it stays open, which is no news."""
        if now == pybreaker.STATE_OPEN:
            self._closed_at = time.monotonic() + self._bounds.open_seconds
        if before == now:
            return
        if now == pybreaker.STATE_CLOSED:
            self._open.dec()
        elif before == pybreaker.STATE_CLOSED:
            self._open.inc()
        if now == pybreaker.STATE_OPEN:
            self._trips.inc()
            log.warning("breaker_open", party=self.name, seconds=self._bounds.open_seconds, error=self._error)
        elif now == pybreaker.STATE_CLOSED:
            log.info("breaker_closed", party=self.name)


def bounds_of_payments(config: Settings) -> Bounds:
    """What holds for each payment gateway."""
    return Bounds(config.payment_seconds, config.payment_concurrency, config.breaker_failures, config.breaker_seconds)
