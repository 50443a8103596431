"""The carriers this deployment has, as its settings say."""

from collections.abc import Mapping

from infra.carriers.manual import ManualCarrier
from infra.carriers.protocol import Carrier
from infra.settings import Settings


def carriers_of(config: Settings) -> Mapping[str, Carrier]:
    """Make what the settings say, by name."""
    made: list[Carrier] = [ManualCarrier(config.carrier_signer())]
    return {carrier.name: carrier for carrier in made}
