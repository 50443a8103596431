"""Ways to break what is true of carts."""

from uuid import UUID

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks
NOBODY = UUID(int=7)
REMOVED = """
INSERT INTO events (stream, version, type, data, actor) VALUES ($1, 2, 'cart.removed', '{"into": null}', $1)
"""
MOVED = """
INSERT INTO events (stream, version, type, data, actor)
SELECT stream, 3, 'cart.moved', jsonb_set(data, '{owner}', to_jsonb($1::text)), $1::text::uuid
FROM events WHERE stream = $2 AND version = 1
"""
NEW_CART = "INSERT INTO carts (id, owner, currency, promotions) VALUES ($1, $1, 'USD', 'strict')"


@breaks("carts_match_events")
async def a_cart_holds_more_unsaid(conn, trade):
    await conn.execute("UPDATE cart_lines SET quantity = quantity + 1 WHERE cart_id = $1", trade.cart)


@breaks("carts_match_events")
async def a_line_of_a_cart_is_lost(conn, trade):
    await conn.execute("DELETE FROM cart_lines WHERE cart_id = $1 AND line_no = 0", trade.cart)


@breaks("carts_match_events")
async def a_cart_shows_another_price(conn, trade):
    await conn.execute("UPDATE cart_lines SET unit_price_minor = 1 WHERE cart_id = $1", trade.cart)


@breaks("carts_match_events")
async def a_cart_changes_hands_unsaid(conn, trade):
    await conn.execute("UPDATE carts SET owner = $1 WHERE id = $2", NOBODY, trade.cart)


@breaks("carts_match_events")
async def a_cart_has_a_version_too_many(conn, trade):
    await conn.execute("UPDATE carts SET version = version + 1 WHERE id = $1", trade.cart)


@breaks("carts_match_events")
async def a_cart_forgets_its_order(conn, trade):
    await conn.execute("UPDATE carts SET order_id = NULL WHERE id = $1", trade.ordered_cart)


@breaks("carts_match_events")
async def a_cart_appears_from_nowhere(conn, trade):
    await conn.execute(NEW_CART, NOBODY)


@breaks("carts_match_events")
async def a_cart_that_was_removed_is_there(conn, trade):
    await conn.execute("UPDATE carts SET version = version + 1 WHERE id = $1", trade.cart)
    await conn.execute(REMOVED, trade.cart)


@breaks("ordered_carts_are_their_buyers")
async def a_cart_became_the_order_of_somebody_else(conn, trade):
    await conn.execute("UPDATE carts SET owner = $1, version = 3 WHERE id = $2", NOBODY, trade.ordered_cart)
    await conn.execute(MOVED, str(NOBODY), trade.ordered_cart)
