"""Everything an order is priced by, indexed, as it stood at one moment.

Invariant: immutable but for what it works out about itself. Processes hold a book and replace it when the version of a
part has changed; nothing in it knows the time, which comes with each question.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from domain.pricing.commission import CommissionRules
from domain.pricing.price_lists import PriceLists
from domain.pricing.promotion_model import StoredPromotion, effective_scope
from domain.pricing.promotions import Live, live, rank_of
from domain.pricing.scope import Facts, Index
from domain.pricing.shipping import ShippingRates
from domain.pricing.tax import TaxRates


class Promotions:
    """All active promotions, indexed by the lines they are for."""

    def __init__(self, stored: Sequence[StoredPromotion] = ()) -> None:
        # Ranked, so that what is decided, and what is said of it, doesn't depend on the order they were read in.
        stored = sorted(stored, key=rank_of)
        self.lives = [live(promotion, bit) for bit, promotion in enumerate(stored)]
        self.by_id: dict[UUID, Live] = {each.promotion.id: each for each in self.lives}
        self.automatic = sum(1 << each.bit for each in self.lives if each.content.automatic)
        self.limited = sum(1 << each.bit for each in self.lives if each.promotion.limited)
        self._index = Index([effective_scope(promotion) for promotion in stored])

    def matching(self, facts: Facts) -> int:
        """The promotions whose scope covers a line, as bits."""
        return self._index.matching(facts) if self.lives else 0


class Versions(Struct, frozen=True):
    """The version of each part of a book: it rises with every change of that part."""

    promotions: int = 0
    commission: int = 0
    rates: int = 0


class Book(Struct, frozen=True):
    """The rules of a marketplace. ``rates`` are tax, shipping and price lists, which change as one part."""

    versions: Versions
    promotions: Promotions
    commission: CommissionRules
    tax: TaxRates
    shipping: ShippingRates
    price_lists: PriceLists


def empty_book() -> Book:
    """A marketplace without any rules."""
    return Book(Versions(), Promotions(), CommissionRules(), TaxRates(), ShippingRates(), PriceLists())
