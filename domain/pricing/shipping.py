"""What shipping a seller's part of an order costs, and by which methods it can be had.

Invariant: a seller with methods of its own ships by those alone, everyone else by the platform's. Of an owner's zones
the one that names the region counts before the one that names the country, and that before the one for everywhere. What
was chosen is frozen with the price: no later change of rates reaches an order.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.accounts.address_model import Country
from domain.money import Currency, Minor
from domain.pricing.tax import Destination, Region
from domain.text import LINE_PATTERN

PLATFORM = UUID(int=0)
"""Whose zones, methods and rates are for sellers who have none."""
LIST_MAX = 1_000
WEIGHT_GRAMS_MAX = 10**12

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]


class Place(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A country, or one region of it."""

    country: Country
    region: Region | None = None


class ShippingZone(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Places that cost alike; without any, everywhere else."""

    id: UUID
    name: Name
    places: Annotated[tuple[Place, ...], Meta(max_length=LIST_MAX)] = ()


class ShippingMethod(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A way to ship. One that isn't active is offered no more."""

    id: UUID
    name: Name
    active: bool = True


class Flat(Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="flat"):
    """The same for every order."""

    amount_minor: Minor


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """What it costs up to a weight in grams, or up to a subtotal in minor units."""

    up_to: Annotated[int, Meta(ge=0, le=10**15)]
    amount_minor: Minor


Steps = Annotated[tuple[Step, ...], Meta(min_length=1, max_length=100)]


class ByWeight(Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="weight"):
    """By what the units weigh together, in grams; nothing heavier than the last step is shipped."""

    steps: Steps


class BySubtotal(Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="subtotal"):
    """By what is paid for the goods, discounts taken off; above the last step nothing is charged."""

    steps: Steps


class ShippingRate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a method costs in a zone, in one currency. From ``free_from_minor`` of goods on it costs nothing."""

    method_id: UUID
    zone_id: UUID
    currency: Currency
    cost: Flat | ByWeight | BySubtotal
    free_from_minor: Minor | None = None


class Owner(Struct, frozen=True):
    """The zones, methods and rates of a seller, or of the platform."""

    zones: tuple[ShippingZone, ...] = ()
    methods: tuple[ShippingMethod, ...] = ()
    rates: tuple[ShippingRate, ...] = ()


class Parcel(Struct, frozen=True):
    """One seller's part of an order: what its units weigh, and what is paid for them."""

    weight_grams: int
    subtotal_minor: int


class Offered(Struct, frozen=True):
    """A method that serves a destination, and what it costs."""

    method_id: UUID
    name: str
    cost_minor: int


class ShippingRates:
    """All owners' zones, methods and rates, by owner, destination and currency."""

    def __init__(self, owners: Mapping[UUID, Owner] | None = None) -> None:
        known = owners or {}
        self._owners = {owner: _Rates(held) for owner, held in known.items() if held.methods}

    def ships(self, seller: UUID) -> bool:
        """Whether anybody has said how a seller's goods are shipped."""
        return seller in self._owners or PLATFORM in self._owners

    def serving(self, seller: UUID, destination: Destination, currency: str) -> Sequence["Serving"]:
        """The methods that serve a destination, in the order they are listed."""
        rates = self._owners.get(seller) or self._owners.get(PLATFORM)
        return () if rates is None else rates.serving(destination, currency)


class Serving(Struct, frozen=True):
    """A method with its rate in the zone of a destination."""

    method: ShippingMethod
    rate: ShippingRate

    def price(self, parcel: Parcel) -> Offered | None:
        """What a parcel costs, None if it isn't shipped so."""
        cost = cost_of(self.rate, parcel)
        return None if cost is None else Offered(self.method.id, self.method.name, cost)


class _Rates:
    """One owner's, by place."""

    def __init__(self, owner: Owner) -> None:
        self._methods = [method for method in owner.methods if method.active]
        self._rates = {(rate.method_id, rate.zone_id, rate.currency): rate for rate in owner.rates}
        self._zones: dict[tuple[str, str], UUID] = {}
        for zone in owner.zones:
            for place in zone.places:
                self._zones.setdefault((place.country, (place.region or "").casefold()), zone.id)
            if not zone.places:
                self._zones.setdefault(("", ""), zone.id)

    def serving(self, destination: Destination, currency: str) -> list[Serving]:
        place = (destination.country, destination.region.casefold())
        zone = next((self._zones[p] for p in (place, (destination.country, ""), ("", "")) if p in self._zones), None)
        if zone is None:
            return []
        found = ((method, self._rates.get((method.id, zone, currency))) for method in self._methods)
        return [Serving(method, rate) for method, rate in found if rate is not None]


def cost_of(rate: ShippingRate, parcel: Parcel) -> int | None:
    """What a parcel costs by a rate, in minor units; None if it is too heavy for it."""
    if rate.free_from_minor is not None and parcel.subtotal_minor >= rate.free_from_minor:
        return 0
    match rate.cost:
        case Flat(amount_minor):
            return amount_minor
        case ByWeight(steps):
            return next((step.amount_minor for step in steps if parcel.weight_grams <= step.up_to), None)
        case BySubtotal(steps):
            return next((step.amount_minor for step in steps if parcel.subtotal_minor <= step.up_to), 0)
