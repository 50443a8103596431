"""Write sellers, products, offers and stock through the domain's own statements, in bounded transactions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from domain.catalog.category_sql import insert_categories, load_taken_slugs
from domain.catalog.model import TREE, NewOffer, NewSeller
from domain.catalog.slugs import slugs_of
from domain.catalog.sql import insert_offers, insert_sellers
from domain.catalog.taxonomy import Category
from domain.inventory.model import StockKey
from domain.inventory.sql import open_stock, receive_stock
from domain.journal.changes_sql import note_changes
from domain.journal.model import SYSTEM
from infra import postgres
from infra.clock import new_id

STEP_OFFERS = 2_000
ROOTS_BY_NAME = """
SELECT DISTINCT ON (name) id, name FROM categories WHERE parent_id IS NULL AND name = ANY ($1) ORDER BY name, id
"""


async def write_catalog(
    conn: Any,
    sellers: Sequence[NewSeller],
    offers: Sequence[NewOffer],
    *,
    actor: UUID,
    reason: str,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Write sellers and offers with their first stock; ``progress`` hears how many offers each step wrote."""
    async with postgres.transaction(conn):
        await insert_sellers(conn, sellers, actor=actor)
        categories = await ensure_categories(conn, {o.category for o in offers if o.category is not None}, actor=actor)
    for step in _steps(offers):
        async with postgres.transaction(conn):
            await insert_offers(conn, step, categories, actor=actor)
            await open_stock(conn, [(o.variant_id, o.seller_id) for o in step])
            stocked = [o for o in step if o.units > 0]
            await receive_stock(
                conn,
                [(new_id(), StockKey(o.variant_id, o.seller_id), o.units) for o in stocked],
                actor=actor,
                reason=reason,
            )
        progress(len(step))
    # The first batches must be planned for the tables as they are now.
    await conn.execute("ANALYZE sellers, categories, products, variants, offers, listings, listing_prices, stock")


async def ensure_categories(conn: Any, names: set[str], *, actor: UUID) -> dict[str, UUID]:
    """The ids of roots of the tree by name; those that aren't there are made."""
    # First, so that nobody else makes one of them meanwhile.
    await note_changes(conn, [TREE])
    known = {name: category_id for category_id, name in await conn.fetch(ROOTS_BY_NAME, list(names))}
    slugs = {name: slugs_of(name, new_id()) for name in sorted(names - known.keys())}
    taken = await load_taken_slugs(conn, [slug for tried in slugs.values() for slug in tried], but=SYSTEM)
    made: list[Category] = []
    for name, tried in slugs.items():
        slug = next(slug for slug in tried if slug not in taken)
        taken.add(slug)
        category_id = new_id()
        made.append(Category(category_id, None, name, slug, (category_id,), 0, 1))
    await insert_categories(conn, made, actor=actor)
    return known | {category.name: category.id for category in made}


def _steps(offers: Sequence[NewOffer]) -> Iterator[list[NewOffer]]:
    """Cut offers into steps, those of one product together: its row is written once, with the first of them."""
    by_product: dict[UUID, list[NewOffer]] = {}
    for offer in offers:
        by_product.setdefault(offer.product_id, []).append(offer)
    step: list[NewOffer] = []
    for together in by_product.values():
        if step and len(step) + len(together) > STEP_OFFERS:
            yield step
            step = []
        step += together
    if step:
        yield step
