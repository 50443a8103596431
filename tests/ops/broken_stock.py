"""Ways to break what is true of stock that people keep."""

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks


@breaks("stock_matches_events")
async def a_threshold_is_set_unsaid(conn, _trade):
    await conn.execute("UPDATE stock SET threshold = 0 WHERE threshold IS NULL")


@breaks("stock_matches_events")
async def more_may_be_sold_than_anybody_said(conn, trade):
    await conn.execute("UPDATE stock SET backorder_limit = 9 WHERE variant_id = $1", trade.offers[0].variant_id)


@breaks("stock_matches_events")
async def a_version_nobody_made(conn, _trade):
    await conn.execute("UPDATE stock SET version = version + 1 WHERE threshold IS NOT NULL")


@breaks("stock_matches_events")
async def an_event_of_stock_is_not_counted(conn, _trade):
    await conn.execute("UPDATE stock SET events = events - 1 WHERE events > 0")


@breaks("stock_matches_events")
async def stock_is_low_and_nobody_was_told(conn, _trade):
    await conn.execute("ALTER TABLE events DISABLE TRIGGER events_frozen")
    await conn.execute("UPDATE events SET type = 'stock.set' WHERE type = 'stock.low'")
    await conn.execute("UPDATE stock SET version = version + 1 WHERE threshold IS NOT NULL")


@breaks("holds_match_events")
async def a_hold_has_a_version_nobody_told_of(conn, _trade):
    await conn.execute("UPDATE reservations SET version = version + 1 WHERE order_id IS NULL AND status = 'active'")


@breaks("holds_match_events")
async def a_hold_ends_otherwise_than_is_told(conn, _trade):
    await conn.execute("ALTER TABLE events DISABLE TRIGGER events_frozen")
    await conn.execute("UPDATE events SET type = 'reservation.expired' WHERE type = 'reservation.released'")


@breaks("limits_are_kept")
async def a_buyer_has_more_than_the_limit(conn, trade):
    await conn.execute(
        "INSERT INTO limited_holds (variant_id, seller_id, buyer, reservation_id, most, window_seconds)"
        " SELECT variant_id, seller_id, owner, id, quantity - 1, 60 FROM reservations"
        " WHERE order_id = $1 AND quantity > 1",
        trade.placed,
    )


@breaks("limits_are_kept")
async def somebody_elses_units_are_counted(conn, trade):
    await conn.execute(
        "INSERT INTO limited_holds (variant_id, seller_id, buyer, reservation_id, most, window_seconds)"
        " SELECT variant_id, seller_id, id, id, quantity, 60 FROM reservations WHERE order_id = $1",
        trade.placed,
    )
