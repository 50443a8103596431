"""Write sellers, products, offers and stock through the domain's own statements, in bounded transactions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from domain.catalog.model import NewOffer, NewSeller
from domain.catalog.sql import insert_offers, insert_sellers
from domain.inventory.model import StockKey
from domain.inventory.sql import open_stock, receive_stock
from infra import postgres
from infra.clock import new_id

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
    """Write sellers and offers with their first stock; ``progress`` hears how many offers each step wrote."""
    async with postgres.transaction(conn):
        await insert_sellers(conn, sellers, actor=actor)
    for step in _steps(offers):
        async with postgres.transaction(conn):
            await insert_offers(conn, step, actor=actor)
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
    await conn.execute("ANALYZE sellers, products, variants, offers, stock")


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
