"""A gateway as the outside of the effects of payments: the sandbox, watched, which can be away."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from infra.gateways import registry
from infra.gateways.guarded import GuardedGateway
from infra.gateways.protocol import GatewayError
from infra.parties import Bounds, Party
from infra.settings import Settings
from tests.gateways import gateways_here

NEVER = 1_000
"""So many failures that no breaker opens: what one does is shown by itself."""
CALLS = frozenset({"create", "confirm", "capture", "void", "refund", "look_up", "charges"})


class Watched:
    """Hands calls on to a gateway; keeps the keys of those of some steps, as the gateway got them."""

    def __init__(self, gateway: Any, steps: Collection[str]) -> None:
        self._gateway = gateway
        self._steps = steps
        self.keys: list[str] = []
        self.away = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._gateway, name)
        return self._call(name, found) if name in CALLS else found

    def _call(self, name: str, found: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            if self.away:
                raise GatewayError("the gateway gave no answer", definite=False)
            answer = await found(*args, **named)
            if name in self._steps:
                self.keys.append(named.get("key") or str(args[0]))
            return answer

        return call


class GatewayOutside:
    """The gateway of a test."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def acts(self) -> list[str]:
        return list(self._watched.keys)

    async def leave(self) -> None:
        self._watched.away = True

    async def come_back(self) -> None:
        self._watched.away = False


@asynccontextmanager
async def gateway_outside(
    settings: Settings, *steps: str, failures: int = NEVER, open_seconds: float = 30.0
) -> AsyncIterator[GatewayOutside]:
    async with gateways_here(settings, BREAKER_FAILURES=str(NEVER)):
        gateways: Any = registry.gateways()
        watched = Watched(gateways["sandbox"], steps)
        party = Party("sandbox", Bounds(5.0, 64, failures, open_seconds), registry.is_technical)
        gateways["sandbox"] = GuardedGateway(watched, party)
        yield GatewayOutside(watched)


def at(*steps: str) -> Callable[[Settings], AbstractAsyncContextManager[GatewayOutside]]:
    """The outside of an effect that takes steps at gateways."""
    return lambda settings: gateway_outside(settings, *steps)


STEPS = {
    "start_payments": ("create",),
    "confirm_payments": ("confirm",),
    "capture_payments": ("capture",),
    "void_payments": ("void",),
    "check_payments": ("look_up",),
    "refund_payments": ("refund",),
    "reconcile_charges": ("charges",),
    "refund_orphans": ("refund", "void"),
}
"""What each effect of payments asks of a gateway."""
