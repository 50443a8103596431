"""A small, real-looking catalog: three sellers, twenty products, stock for each."""

from typing import Any
from uuid import UUID

import msgspec

from domain import ids
from domain.catalog.model import NewOffer, NewSeller
from domain.journal.model import SYSTEM
from ops.catalog import write_catalog

CURRENCY = "USD"
_SELLERS = ("Fjord & Field", "Copper Kettle", "Night Train Books")
_PRODUCTS: tuple[tuple[int, str, str, int, dict[str, str]], ...] = (
    (0, "Merino base layer", "clothing", 6900, {"size": "M", "colour": "slate"}),
    (0, "Wool hiking socks, pair", "clothing", 1800, {"size": "41-43"}),
    (0, "Waxed canvas rucksack, 24 l", "outdoor", 12900, {"colour": "olive"}),
    (0, "Enamel camp mug", "outdoor", 1450, {"colour": "white"}),
    (0, "Head torch, 400 lm", "outdoor", 4500, {}),
    (0, "Dry bag, 10 l", "outdoor", 1990, {"colour": "orange"}),
    (0, "Folding saw", "tools", 3200, {}),
    (1, "Copper kettle, 1.2 l", "kitchen", 8900, {}),
    (1, "Burr grinder, manual", "kitchen", 5400, {}),
    (1, "Pour-over dripper", "kitchen", 2400, {"material": "ceramic"}),
    (1, "Filter papers, 100", "kitchen", 650, {}),
    (1, "Espresso beans, 1 kg", "food", 2650, {"roast": "dark"}),
    (1, "Sencha, 100 g", "food", 1275, {"harvest": "first"}),
    (1, "Cast-iron teapot, 0.8 l", "kitchen", 7250, {}),
    (1, "Kitchen scale, 0.1 g", "kitchen", 3999, {}),
    (2, "Atlas of remote islands", "books", 2800, {"binding": "hardcover"}),
    (2, "The long way round, paperback", "books", 1399, {"binding": "paperback"}),
    (2, "Notebook, dotted, A5", "stationery", 1150, {"pages": "192"}),
    (2, "Fountain pen, fine", "stationery", 4200, {"nib": "F"}),
    (2, "Bottled ink, 50 ml", "stationery", 1600, {"colour": "blue-black"}),
)
UNITS = 500


def seller_id(index: int) -> UUID:
    """The same ids on every machine, so that documentation can name them."""
    return ids.compose(1_700_000_000_000, (index + 1).to_bytes(8, "big"))


def variant_id(index: int) -> UUID:
    """See :func:`seller_id`."""
    return ids.compose(1_700_000_001_000, (index + 1).to_bytes(8, "big"))


def _product_id(index: int) -> UUID:
    return ids.compose(1_700_000_002_000, (index + 1).to_bytes(8, "big"))


def sample() -> tuple[list[NewSeller], list[NewOffer]]:
    """The sample's sellers and offers."""
    sellers = [NewSeller(seller_id(n), name) for n, name in enumerate(_SELLERS)]
    offers = [
        NewOffer(
            product_id=_product_id(n),
            variant_id=variant_id(n),
            seller_id=seller_id(seller),
            title=title,
            category=category,
            attributes=msgspec.json.encode(attributes).decode(),
            sku=f"S{seller + 1}-{n + 1:03d}",
            price_minor=price,
            currency=CURRENCY,
            units=UNITS,
        )
        for n, (seller, title, category, price, attributes) in enumerate(_PRODUCTS)
    ]
    return sellers, offers


async def write_sample(conn: Any) -> bool:
    """Write the sample unless it is there; returns whether it was written."""
    if await conn.fetchval("SELECT EXISTS (SELECT FROM sellers WHERE id = $1)", seller_id(0)):
        return False
    sellers, offers = sample()
    await write_catalog(conn, sellers, offers, actor=SYSTEM, reason="sample")
    return True
