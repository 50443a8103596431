"""Ways to break what is true of products and their lists."""

from uuid import uuid4

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks


@breaks("products_match_events")
async def a_product_is_described_without_an_event(conn, _trade):
    await conn.execute("UPDATE products SET description = description || '!'")


@breaks("products_match_events")
async def a_product_has_a_version_too_many(conn, _trade):
    await conn.execute("UPDATE products SET version = version + 1")


@breaks("products_match_events")
async def an_attribute_is_added_without_an_event(conn, _trade):
    await conn.execute("""UPDATE products SET attributes = attributes || '{"hidden": 1}'""")


@breaks("products_match_events")
async def an_event_is_of_no_product(conn, trade):
    await conn.execute(
        "INSERT INTO events (stream, version, type, data, actor)"
        " SELECT $1, 1, type, data, actor FROM events WHERE stream = $2 AND type = 'product.created'",
        uuid4(),
        trade.offers[0].product_id,
    )


@breaks("slugs_lead_to_products")
async def a_slug_leads_to_another_product(conn, trade):
    await conn.execute("UPDATE product_slugs SET product_id = $1", trade.offers[0].product_id)


@breaks("slugs_lead_to_products")
async def a_slug_leads_nowhere(conn, _trade):
    await conn.execute("INSERT INTO product_slugs (slug, product_id) VALUES ('nowhere', $1)", uuid4())


@breaks("products_are_listed")
async def a_listing_has_another_owner(conn, _trade):
    await conn.execute("UPDATE listings SET seller_id = $1 WHERE currency = ''", uuid4())


@breaks("products_are_listed")
async def a_listing_is_of_no_product(conn, _trade):
    await conn.execute(
        "INSERT INTO listings (product_id, currency, price_minor, status, seller_id, slug, created_at, sellers, tokens)"
        " SELECT $1, '', 0, status, seller_id, slug, created_at, sellers, tokens FROM listings LIMIT 1",
        uuid4(),
    )


@breaks("lowest_prices_are_listed")
async def a_listed_price_is_another_one(conn, _trade):
    await conn.execute("UPDATE listings SET price_minor = price_minor + 1 WHERE currency <> ''")


@breaks("lowest_prices_are_listed")
async def a_price_isnt_listed(conn, _trade):
    await conn.execute("DELETE FROM listings WHERE currency <> ''")


@breaks("lowest_prices_are_listed")
async def a_price_is_listed_in_another_state(conn, _trade):
    await conn.execute("UPDATE listings SET status = 'archived' WHERE currency <> ''")
