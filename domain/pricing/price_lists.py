"""Price lists: other prices of offers, for a currency, a group of buyers, a time. The offer's own is the default.

Invariant: of the lists that hold for an order and name an offer one says its price: the highest priority, then one for
a group before one for everybody, then the lowest id.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.accounts.model import BuyerGroup
from domain.catalog.model import OfferKey
from domain.catalog.offers import Moment
from domain.money import Currency, Minor
from domain.pricing.commission import Priority
from domain.pricing.promotion_model import Title

LISTS_MAX = 200
PRICES_MAX = 10_000


class ListedPrice(Struct, frozen=True, forbid_unknown_fields=True):
    """The price of one unit of an offer, in minor units of the list's currency."""

    variant_id: UUID
    seller_id: UUID
    price_minor: Minor


class PriceList(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Prices in one currency, for one group of buyers or, without ``group``, for everybody."""

    id: UUID
    name: Title
    currency: Currency
    prices: Annotated[tuple[ListedPrice, ...], Meta(max_length=PRICES_MAX)]
    group: BuyerGroup | None = None
    priority: Priority = 0
    starts_at: Moment | None = None
    ends_at: Moment | None = None


class PriceLists:
    """All lists of a marketplace, by offer."""

    def __init__(self, lists: Sequence[PriceList] = ()) -> None:
        self.by_group = any(each.group is not None for each in lists)
        self._prices: dict[OfferKey, list[tuple[PriceList, int]]] = {}
        for each in sorted(lists, key=lambda one: (-one.priority, one.group is None, one.id)):
            for price in each.prices:
                self._prices.setdefault((price.variant_id, price.seller_id), []).append((each, price.price_minor))

    def price(self, offer: OfferKey, currency: str, group: str | None, now: datetime) -> int | None:
        """What a unit of an offer costs by a list; None where its own price holds."""
        for each, price_minor in self._prices.get(offer, ()):
            begun = each.starts_at is None or each.starts_at <= now
            over = each.ends_at is not None and each.ends_at <= now
            if each.currency == currency and each.group in {None, group} and begun and not over:
                return price_minor
        return None
