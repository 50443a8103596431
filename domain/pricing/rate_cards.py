"""Rate cards: the lists of taxes, prices and shipping that their owners replace as a whole.

Invariant: a card is at version 0 until somebody writes it, and each replacement by another list raises it by one. Who
owns shipping cards is a seller or the platform; taxes and price lists are the platform's.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.pricing.price_lists import LISTS_MAX, PriceList
from domain.pricing.shipping import LIST_MAX, PLATFORM, ShippingMethod, ShippingRate, ShippingZone
from domain.pricing.tax import TaxRate

TAX_RATES_MAX = 10_000
RATES_MAX = 10_000
TOLD_BYTES_MAX = 64 * 1024
"""Up to which length an event tells the whole list."""


class CardKind(StrEnum):
    """What a card lists."""

    TAX_RATES = "tax_rates"
    PRICE_LISTS = "price_lists"
    SHIPPING_ZONES = "shipping_zones"
    SHIPPING_METHODS = "shipping_methods"
    SHIPPING_RATES = "shipping_rates"


class TaxRateList(Struct, frozen=True, forbid_unknown_fields=True):
    """All rates of tax."""

    items: Annotated[tuple[TaxRate, ...], Meta(max_length=TAX_RATES_MAX)]


class PriceListList(Struct, frozen=True, forbid_unknown_fields=True):
    """All price lists."""

    items: Annotated[tuple[PriceList, ...], Meta(max_length=LISTS_MAX)]


class ShippingZoneList(Struct, frozen=True, forbid_unknown_fields=True):
    """All zones of an owner."""

    items: Annotated[tuple[ShippingZone, ...], Meta(max_length=LIST_MAX)]


class ShippingMethodList(Struct, frozen=True, forbid_unknown_fields=True):
    """All methods of an owner."""

    items: Annotated[tuple[ShippingMethod, ...], Meta(max_length=LIST_MAX)]


class ShippingRateList(Struct, frozen=True, forbid_unknown_fields=True):
    """All rates of an owner."""

    items: Annotated[tuple[ShippingRate, ...], Meta(max_length=RATES_MAX)]


class TaxRateCard(Struct, frozen=True):
    """The rates of tax as they stand."""

    items: tuple[TaxRate, ...]
    version: int


class PriceListCard(Struct, frozen=True):
    """The price lists as they stand."""

    items: tuple[PriceList, ...]
    version: int


class ShippingZoneCard(Struct, frozen=True):
    """An owner's zones as they stand; ``seller_id`` is null for the platform's."""

    items: tuple[ShippingZone, ...]
    version: int
    seller_id: UUID | None


class ShippingMethodCard(Struct, frozen=True):
    """An owner's methods as they stand; ``seller_id`` is null for the platform's."""

    items: tuple[ShippingMethod, ...]
    version: int
    seller_id: UUID | None


class ShippingRateCard(Struct, frozen=True):
    """An owner's rates as they stand; ``seller_id`` is null for the platform's."""

    items: tuple[ShippingRate, ...]
    version: int
    seller_id: UUID | None


_decoders: dict[CardKind, msgspec.json.Decoder[Any]] = {
    CardKind.TAX_RATES: msgspec.json.Decoder(tuple[TaxRate, ...]),
    CardKind.PRICE_LISTS: msgspec.json.Decoder(tuple[PriceList, ...]),
    CardKind.SHIPPING_ZONES: msgspec.json.Decoder(tuple[ShippingZone, ...]),
    CardKind.SHIPPING_METHODS: msgspec.json.Decoder(tuple[ShippingMethod, ...]),
    CardKind.SHIPPING_RATES: msgspec.json.Decoder(tuple[ShippingRate, ...]),
}


class Card(Struct, frozen=True):
    """A list with its version."""

    items: tuple[Any, ...] = ()
    version: int = 0


class RateCardReplaced(Struct, frozen=True):
    """The event ``rate_card.replaced``.

    ``items`` is the new list, null where its JSON is longer than 64 KiB: then ``sha256``, of that JSON, tells whether a
    list is the one. ``owner`` is a seller; zeros are the platform.
    """

    kind: CardKind
    owner: UUID
    count: int
    sha256: str
    items: msgspec.Raw | None


def card_from(kind: CardKind, content: str, version: int) -> Card:
    """A card from what is kept of it."""
    return Card(_decoders[kind].decode(content), version)


def replaced(kind: CardKind, owner: UUID, items: tuple[Any, ...]) -> RateCardReplaced:
    """Tell of a new list."""
    content = msgspec.json.encode(items)
    told = msgspec.Raw(content) if len(content) <= TOLD_BYTES_MAX else None
    return RateCardReplaced(kind, owner, len(items), hashlib.sha256(content).hexdigest(), told)


def stream_of(kind: CardKind, owner: UUID) -> UUID:
    """The stream of a card's events."""
    named = f"rate card {kind.value} {owner}".encode()
    return UUID(bytes=hashlib.md5(named, usedforsecurity=False).digest())


def seller_of_owner(owner: UUID) -> UUID | None:
    """The seller that owns a card; None for the platform's."""
    return None if owner == PLATFORM else owner
