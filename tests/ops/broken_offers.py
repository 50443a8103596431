"""Ways to break what is true of variants and offers."""

from tests.ops.breaking import Ways, list_anew

WAYS = Ways()
breaks = WAYS.breaks


@breaks("variants_match_events")
async def a_variant_is_deactivated_unsaid(conn, trade):
    await conn.execute("UPDATE variants SET active = false WHERE id = $1", trade.offers[0].variant_id)
    await list_anew(conn, trade)


@breaks("variants_match_events")
async def a_variant_has_a_version_too_many(conn, _trade):
    await conn.execute("UPDATE variants SET version = version + 1")


@breaks("variants_match_events")
async def a_variant_appears_from_nowhere(conn, _trade):
    await conn.execute("INSERT INTO variants (id, product_id) SELECT gen_random_uuid(), id FROM products")


@breaks("offers_match_events")
async def a_price_changes_unsaid(conn, trade):
    await conn.execute(
        "UPDATE offers SET price_minor = price_minor + 1 WHERE variant_id = $1", trade.offers[1].variant_id
    )
    await list_anew(conn, trade)


@breaks("offers_match_events")
async def a_sku_changes_unsaid(conn, trade):
    await conn.execute("UPDATE offers SET sku = sku || '!' WHERE variant_id = $1", trade.offers[2].variant_id)


@breaks("offers_match_events")
async def an_offer_ends_unsaid(conn, trade):
    await conn.execute("UPDATE offers SET active = false")
    await list_anew(conn, trade)


@breaks("offers_match_events")
async def an_offer_is_put_off_unsaid(conn, _trade):
    await conn.execute("UPDATE offers SET valid_from = now()")
