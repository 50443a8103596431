"""The gateways this deployment has, as its settings say.

Invariant: the sandbox is there only where its secret is set. A deployment that forgot to take it away would sell for
``tok_ok``; one that never set it can't.
"""

from collections.abc import Mapping
from functools import cache

from infra import settings
from infra.gateways.guarded import GuardedGateway
from infra.gateways.protocol import Gateway, GatewayError
from infra.gateways.sandbox import Sandbox
from infra.parties import Party, bounds_of_payments
from infra.settings import Settings


def gateways_of(config: Settings) -> dict[str, Gateway]:
    """Make what the settings say, each with its breaker; nothing is connected yet."""
    made: list[Gateway] = []
    signer = config.sandbox_signer()
    if signer is not None:
        made.append(Sandbox(config, signer))
    if config.stripe_secret_key:
        # It takes a while to import, and nobody else needs it.
        from infra.gateways.stripe_gateway import StripeGateway  # noqa: PLC0415

        made.append(StripeGateway(config))
    bounds = bounds_of_payments(config)
    return {gateway.name: GuardedGateway(gateway, Party(gateway.name, bounds, is_technical)) for gateway in made}


def is_technical(error: BaseException) -> bool:
    """Whether it tells that a gateway is away: it gave no answer. A decline is one, and so is a refusal."""
    return isinstance(error, TimeoutError) or (isinstance(error, GatewayError) and error.technical)


@cache
def gateways() -> Mapping[str, Gateway]:
    """This process's own, by name, made when the first one is asked for."""
    return gateways_of(settings.load())


def gateway(name: str) -> Gateway | None:
    """One of this process's gateways; None where this deployment has no such."""
    return gateways().get(name)


async def close() -> None:
    """Close what this process's gateways hold open; what is needed again opens again."""
    if gateways.cache_info().currsize:
        for each in gateways().values():
            await each.close()
