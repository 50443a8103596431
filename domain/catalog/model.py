"""What is for sale: an offer as placing an order sees it."""

from uuid import UUID

from msgspec import Struct

TREE = UUID("00000000-0000-7000-8000-000000000001")
"""What stands in ``catalog_changes`` for all categories and attributes together: they change as one."""

OfferKey = tuple[UUID, UUID]
"""(variant id, seller id): what keys an offer, its stock and a line."""


class Offer(Struct, frozen=True):
    """One seller's price, SKU and stock of a variant, read for placing.

    ``sellable`` folds the states of seller, product, variant and offer. ``attributes`` is JSON text, frozen
    into the line as it stands. ``available`` is on hand + backorder limit - reserved, in units. ``categories`` leads
    from the root to the product's own. A buyer may take ``quantity_max`` units in an order, or in a time.
    """

    variant_id: UUID
    seller_id: UUID
    sku: str
    title: str
    category: str | None
    attributes: str
    price_minor: int
    currency: str
    sellable: bool
    available: int
    product_id: UUID
    categories: tuple[UUID, ...]
    weight_grams: int
    quantity_max: int | None = None
    quantity_window_seconds: int | None = None


class PriceChange(Struct, frozen=True):
    """A new price of an offer, in minor units of its own currency."""

    variant_id: UUID
    seller_id: UUID
    price_minor: int
