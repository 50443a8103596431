"""List products anew whose prices changed by themselves: an offer's validity began or ended, a seller's state changed.

One command takes one bounded step and follows itself up while there is more.
"""

from collections.abc import Sequence

from msgspec import Struct

from domain.catalog.listing import RelistProducts
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.product_sql import lock_products
from domain.catalog.relist_sql import take_due
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded

STEP_PRODUCTS = 500


class Relisted(Struct, frozen=True):
    """How many products a step listed anew, and whether there may be more."""

    products: int
    more: bool


@batch(RelistProducts, commands_max=10)
async def relist_products(batch: Batch[RelistProducts]) -> Sequence[BatchOutcome]:
    """Take one step for the whole batch; every command gets the batch's result."""
    due = await take_due(batch.conn, STEP_PRODUCTS)
    await lock_products(batch.conn, due.products)
    await refresh_listings(batch.conn, due.products)
    if due.more:
        batch.follow_up(RelistProducts(), batch.commands[0].correlation)
    return [Succeeded(Relisted(len(due.products), due.more))] * len(batch.commands)
