"""Ways to break what is true of prices and of commission."""

from typing import Any
from uuid import UUID

from tests.ops.breaking import Ways, book

WAYS = Ways()
breaks = WAYS.breaks
NOBODY = UUID(int=7)


async def _thaw(conn: Any, table: str) -> None:
    await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_frozen")


async def _change(conn: Any, table: str, what: str, where: str, *args: object) -> None:
    await _thaw(conn, table)
    await conn.execute(f"UPDATE {table} SET {what} WHERE {where}", *args)


@breaks("price_versions_add_up")
async def a_total_is_off_by_one(conn, trade):
    what = "total_minor = total_minor + 1"
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.cancelled)


@breaks("price_versions_add_up")
async def shipping_is_charged_unsaid(conn, trade):
    what = """sellers = '{0}', shipping_minor = '{500}', shipping_terms = '[{"method_id": null, "name": "Post"}]'"""
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.discounted)


@breaks("price_versions_add_up")
async def a_tax_is_added_unsaid(conn, trade):
    what = "taxes_minor = '{7}', added_taxes_minor = '{7}'"
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.discounted)


@breaks("price_parts_stand_side_by_side")
async def an_amount_stands_beside_no_line(conn, trade):
    what = "taxes_minor = '{7, 7}'"
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.discounted)


@breaks("first_price_version_is_the_lines")
async def an_amount_moves_to_another_line(conn, trade):
    what = "amounts_minor = ARRAY[amounts_minor[1] + 1, amounts_minor[2] - 1]"
    await _change(conn, "price_versions", what, "order_id = $1", trade.placed)


@breaks("later_price_versions_are_of_the_lines")
async def a_line_costs_more_when_another_is_cancelled(conn, trade):
    what = "amounts_minor = ARRAY[amounts_minor[1] + 1], total_minor = total_minor + 1"
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.discounted)


@breaks("promotions_are_the_discounts")
async def a_discount_is_borne_by_somebody_else(conn, trade):
    what = """promotions = jsonb_set(promotions, '{0,funding}', '"seller"')"""
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.discounted)


@breaks("promotions_are_the_discounts")
async def a_discount_is_of_another_line(conn, trade):
    what = "promotions = jsonb_set(promotions, '{0,lines,0,0}', '0')"
    await _change(conn, "price_versions", what, "order_id = $1 AND version = 2", trade.discounted)


@breaks("redemptions_match_prices")
async def a_use_is_worth_what_it_was_before_a_line_went(conn, trade):
    await conn.execute("UPDATE redemptions SET amount_minor = amount_minor + 1 WHERE order_id = $1", trade.discounted)


@breaks("redemptions_match_prices")
async def a_use_comes_back_while_it_takes_something_off(conn, trade):
    await conn.execute("UPDATE redemptions SET returned_at = now() WHERE order_id = $1", trade.discounted)


@breaks("placed_events_match_orders")
async def an_event_with_another_discount(conn, trade):
    what = "data = jsonb_set(data, '{discount_minor}', '1')"
    await _change(conn, "events", what, "stream = $1 AND version = 1", trade.discounted)


@breaks("placed_events_match_orders")
async def an_event_with_a_tax(conn, trade):
    await _change(conn, "events", "data = jsonb_set(data, '{tax_minor}', '1')", "stream = $1", trade.placed)


@breaks("confirmed_orders_match_events")
async def an_event_that_confirms_another_total(conn, trade):
    what = "data = jsonb_set(data, '{total_minor}', '1')"
    await _change(conn, "events", what, "stream = $1 AND type = 'order.confirmed'", trade.confirmed)


@breaks("confirmed_lines_have_snapshots")
async def a_snapshot_vanishes(conn, trade):
    await _thaw(conn, "commission_snapshots")
    gone = "DELETE FROM commission_snapshots WHERE order_id = $1 RETURNING amount_minor"
    amounts = [row["amount_minor"] for row in await conn.fetch(gone, trade.confirmed)]
    if sum(amounts):
        await book(conn, trade.confirmed, "commission", "commission_revenue", sum(amounts))


@breaks("confirmed_lines_have_snapshots")
async def a_snapshot_of_an_order_that_is_not_confirmed(conn, trade):
    await conn.execute(
        "INSERT INTO commission_snapshots"
        " (order_id, line_no, seller_id, base_minor, amount_minor, currency, considered)"
        " SELECT l.order_id, l.line_no, l.seller_id, l.total_minor, 0, 'USD', '[]' FROM order_lines l"
        " WHERE l.order_id = $1",
        trade.placed,
    )


@breaks("snapshots_are_by_frozen_terms")
async def a_base_that_is_too_large(conn, trade):
    await _change(conn, "commission_snapshots", "base_minor = base_minor + 1", "order_id = $1", trade.confirmed)


@breaks("snapshots_are_by_frozen_terms")
async def terms_that_are_not_those_it_was_worked_out_by(conn, trade):
    await _change(conn, "order_lines", "commission_rate_bp = 5000", "order_id = $1", trade.confirmed)


@breaks("snapshots_are_by_frozen_terms")
async def a_snapshot_that_considers_nothing(conn, trade):
    await _change(conn, "commission_snapshots", "considered = '[]'", "order_id = $1", trade.confirmed)


@breaks("snapshots_match_events")
async def an_event_with_another_commission(conn, trade):
    what = "data = jsonb_set(data, '{lines,0,amount_minor}', '1')"
    await _change(conn, "events", what, "stream = $1 AND type = 'order.commission_snapshotted'", trade.confirmed)


@breaks("rules_that_are_paid_by_are_used")
async def a_rule_that_is_paid_by_looks_unused(conn, trade):
    await conn.execute("UPDATE commission_rules SET used = false WHERE id = $1", trade.rule)


@breaks("commission_rules_match_events")
async def a_rule_says_something_else_unsaid(conn, trade):
    changed = "jsonb_set(content, '{rate_bp}', '1')"
    await conn.execute(f"UPDATE commission_rules SET content = {changed} WHERE id = $1 AND revision = 2", trade.rule)


@breaks("commission_rules_match_events")
async def a_rule_holds_nowhere_for_a_while(conn, trade):
    # Before all rules had a version: as long ago as can be.
    await conn.execute("UPDATE commission_rules SET from_version = 0 WHERE id = $1 AND revision = 1", trade.rule)


@breaks("commission_rules_match_events")
async def a_rule_of_which_nobody_told(conn, _trade):
    await conn.execute(
        "INSERT INTO commission_rules (id, revision, content, from_version, created_at, created_by)"
        " VALUES ($1, 1, '{}', 1, now(), $1)",
        NOBODY,
    )
