"""Ways to break what is true of returns."""

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks


@breaks("returns_match_events")
async def a_return_is_received_that_nobody_was_told_of(conn, trade):
    await conn.execute("ALTER TABLE events DISABLE TRIGGER events_frozen")
    change = "UPDATE events SET data = data - 'return_id' || '{\"return_id\": \"x\"}'"
    await conn.execute(f"{change} WHERE type = 'order.return_received' AND stream = $1", trade.payments.returned[0])


@breaks("returned_units_are_put_back")
async def units_that_came_back_vanish(conn, trade):
    # The shelf and what moved on it agree; the return says otherwise.
    await conn.execute("UPDATE returns SET restocked = '{0}' WHERE order_id = $1", trade.payments.returned[0])


@breaks("no_unit_is_sent_back_twice")
async def more_came_back_than_was_delivered(conn, trade):
    more = "UPDATE returns SET quantities = '{2}', received = '{2}' WHERE order_id = $1"
    await conn.execute(more, trade.payments.returned[0])


@breaks("no_unit_is_sent_back_twice")
async def more_came_back_than_was_sent(conn, trade):
    await conn.execute("UPDATE returns SET received = '{2}' WHERE order_id = $1", trade.payments.returned[0])


@breaks("returned_seller_orders_came_back")
async def a_seller_order_is_returned_and_a_unit_is_missing(conn, trade):
    change = "UPDATE returns SET received = '{0}', restocked = '{0}' WHERE order_id = $1"
    await conn.execute(change, trade.payments.returned[0])
    # Nobody expects the unit on the shelf.
    await conn.execute("ALTER TABLE movements DISABLE TRIGGER movements_frozen")
    await conn.execute(
        "UPDATE movements SET cause_id = gen_random_uuid() WHERE kind = 'returned' AND cause_id IN ("
        "SELECT md5(concat_ws('/', 'return', id, 0))::uuid FROM returns WHERE order_id = $1)",
        trade.payments.returned[0],
    )
