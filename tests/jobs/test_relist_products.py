"""Listings follow what nobody writes: validity that begins and ends, sellers who may sell or not."""

from typing import Any
from uuid import UUID

import pytest

from domain.catalog.listing import RelistProducts
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.relist_sql import relist_sellers
from jobs import relist_products
from tests.builders import submit, write_offers
from tests.engine.parts import Rig

pytestmark = pytest.mark.anyio
PRICES = "SELECT product_id, price_minor FROM listings WHERE currency <> '' ORDER BY product_id"


async def _prices(rig: Rig) -> dict[UUID, int]:
    return {row["product_id"]: row["price_minor"] for row in await rig.conn.fetch(PRICES)}


async def _sweep(rig: Rig) -> None:
    await submit(rig.conn, RelistProducts())
    await rig.drain(rig.runner(relist_products.relist_products))


async def _passes(rig: Rig, what: Any) -> None:
    """Let a moment that was to come be one that has just been."""
    await rig.conn.execute("UPDATE offers SET valid_from = now() WHERE variant_id = $1 AND valid_from > now()", what)
    await rig.conn.execute("UPDATE offers SET valid_until = now() WHERE variant_id = $1 AND valid_until > now()", what)
    await rig.conn.execute("UPDATE listings SET due_at = now() WHERE due_at IS NOT NULL")


@pytest.mark.parametrize(("column", "before"), [("valid_from", False), ("valid_until", True)])
async def test_an_offer_is_listed_from_when_it_is_valid_until_it_ends(rig: Rig, column: str, before: bool):
    (offer, other) = await write_offers(rig.conn, offers=2)
    await rig.conn.execute(
        f"UPDATE offers SET {column} = now() + interval '1 hour' WHERE variant_id = $1", offer.variant_id
    )
    await refresh_listings(rig.conn, [offer.product_id])
    assert (offer.product_id in await _prices(rig)) is before
    assert await rig.conn.fetchval("SELECT count(*) FROM listings WHERE due_at IS NOT NULL") == 1
    await _sweep(rig)
    assert (offer.product_id in await _prices(rig)) is before, "its time hasn't come"
    await _passes(rig, offer.variant_id)
    await rig.conn.execute("DELETE FROM catalog_changes")
    await _sweep(rig)
    assert (offer.product_id in await _prices(rig)) is not before
    assert other.product_id in await _prices(rig)
    assert await rig.conn.fetchval("SELECT count(*) FROM listings WHERE due_at IS NOT NULL") == 0
    noted = await rig.conn.fetch("SELECT thing FROM catalog_changes")
    assert [row["thing"] for row in noted] == [offer.product_id]


async def test_what_a_suspended_seller_offers_is_listed_without_it(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relist_products, "STEP_PRODUCTS", 2)
    offers = await write_offers(rig.conn, offers=10, sellers=2)
    seller = offers[0].seller_id
    await rig.conn.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", seller)
    await relist_sellers(rig.conn, [seller])
    assert len(await _prices(rig)) == 10
    await _sweep(rig)
    assert set(await _prices(rig)) == {offer.product_id for offer in offers if offer.seller_id != seller}
    assert await rig.conn.fetchval("SELECT count(*) FROM relistings") == 0
    await rig.conn.execute("UPDATE sellers SET status = 'approved' WHERE id = $1", seller)
    await relist_sellers(rig.conn, [seller])
    await _sweep(rig)
    assert len(await _prices(rig)) == 10
