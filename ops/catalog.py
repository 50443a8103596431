"""Write sellers, products, offers and stock by the decisions and statements of the routes, in bounded transactions."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.accounts.model import Position, SellerStatus
from domain.accounts.seller_edit import Actor, applied, review
from domain.accounts.seller_lifecycle import Review
from domain.accounts.seller_model import Seller, SellerApplication
from domain.accounts.seller_sql import insert_members, insert_sellers, update_sellers
from domain.catalog.category_reads import load_schemas
from domain.catalog.category_sql import hold_tree
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.offer_sql import apply_offers
from domain.catalog.offers import decide
from domain.catalog.product_model import Product
from domain.catalog.product_sql import insert_products, take_slugs
from domain.catalog.variant_sql import insert_variants
from domain.inventory.model import StockKey
from domain.inventory.received_sql import open_stock, receive_stock
from domain.journal.changes_sql import note_changes
from domain.journal.sql import insert_events
from infra import postgres
from infra.clock import new_id
from ops.goods import (
    CatalogError,
    NewOffer,
    NewProduct,
    NewSeller,
    allowed,
    offers_of,
    product_of,
    products_of,
    shelves_of,
    steps_of,
    variants_of,
    well_formed,
)
from ops.shelves import put_up

STEP_OFFERS = 2_000


async def write_catalog(
    conn: Any,
    sellers: Sequence[NewSeller],
    offers: Sequence[NewOffer],
    *,
    actor: UUID,
    reason: str,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Write sellers and single offers, with the categories, products and variants they need.

    ``progress`` hears how many offers each step wrote. Raises CatalogError.
    """
    shelves, attributes = shelves_of(offers)
    async with postgres.transaction(conn):
        await write_sellers(conn, sellers, actor=actor)
        schemas = await put_up(conn, shelves, attributes, actor=actor)
    await write_products(conn, products_of(offers, schemas), actor=actor, reason=reason, progress=progress)


async def write_sellers(conn: Any, sellers: Sequence[NewSeller], *, actor: UUID) -> None:
    """Write approved sellers; one with an owner applied before. Run it in a transaction; raises CatalogError."""
    for seller in sellers:
        well_formed(SellerApplication(seller.name))
    now = datetime.now(UTC)
    before = [
        Seller(s.id, s.name, "", SellerStatus.APPLIED, "", None, "", 0 if s.owner is None else 1, now) for s in sellers
    ]
    edits = [allowed(review(seller, Review.APPROVE, "", Actor(actor, ""))) for seller in before]
    await insert_sellers(conn, [edit.seller for edit in edits])
    owned = [(s.owner, n) for n, s in enumerate(sellers) if s.owner is not None]
    await update_sellers(conn, [edits[n].seller for _, n in owned])
    await insert_members(conn, [(owner, sellers[n].id, Position.OWNER) for owner, n in owned])
    await insert_events(conn, [applied(before[n], Actor(owner, "")) for owner, n in owned])
    await insert_events(conn, [edit.event for edit in edits])
    await note_changes(conn, [seller.id for seller in sellers])


async def write_products(
    conn: Any,
    products: Sequence[NewProduct],
    *,
    actor: UUID,
    reason: str,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Write products that are for sale, with their variants, offers and first stock; raises CatalogError.

    ``progress`` hears how many offers each step wrote.
    """
    for step in steps_of(products, STEP_OFFERS):
        async with postgres.transaction(conn):
            await write_step(conn, step, actor=actor, reason=reason)
        progress(sum(len(product.offers) for product in step))
    await analyse(conn)


async def analyse(conn: Any) -> None:
    """Tell PostgreSQL what the tables hold: the first batches must be planned for them as they are now."""
    await conn.execute("ANALYZE sellers, categories, products, variants, offers, listings, stock")


async def write_step(conn: Any, products: Sequence[NewProduct], *, actor: UUID, reason: str) -> None:
    """Write a few products that are for sale, with all that hangs on them. Run it in a transaction."""
    await hold_tree(conn)
    schemas = await load_schemas(conn, list({p.details.category_id for p in products if p.details.category_id}))
    slugs = await take_slugs(conn, [(product.id, product.details.title) for product in products])
    made: list[Product] = []
    variants = []
    for product in products:
        schema = schemas.get(product.details.category_id) if product.details.category_id else None
        if schema is None or product.id not in slugs:
            raise CatalogError(f"product {product.id}: {'its slugs are taken' if schema else 'it has no category'}")
        made.append(product_of(product, slugs[product.id], schema))
        variants += variants_of(product, schema, new_id)
    await insert_products(conn, made, actor=actor)
    await insert_variants(conn, variants, actor=actor, correlation="")
    plan = decide(offers_of(products), {}, actor=actor, correlation="")
    await apply_offers(conn, plan)
    await open_stock(conn, [offer.key for offer in plan.new])
    units = [(key, units) for product in products for key, units in product.units.items() if units > 0]
    await receive_stock(conn, [(new_id(), StockKey(*key), n) for key, n in units], actor=actor, reason=reason)
    await refresh_listings(conn, [product.id for product in made])
