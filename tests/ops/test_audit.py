"""The audit: silent about what trade does, and each check notices what it is for, alone."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain import ids, invariants
from domain.invariants import INVARIANTS, SAMPLE_MAX, Audit, run_audit
from ops.stack import EmbeddedStack
from tests import databases
from tests.ops import (
    broken_carts,
    broken_fulfilment,
    broken_invoices,
    broken_ledger,
    broken_offers,
    broken_payments,
    broken_payouts,
    broken_prices,
    broken_products,
    broken_promotions,
    broken_returns,
    broken_sellers,
    broken_stock,
    broken_taxonomy,
)
from tests.ops.breaking import Corrupt, Ways
from tests.ops.console import environment, ordermill, result_of
from tests.ops.trade import Trade

NOBODY = UUID(int=7)
_WAYS = Ways()
breaks = _WAYS.breaks


def _hold(order: UUID, line: int) -> UUID:
    return ids.child(order, ids.Kind.RESERVATION, line)


async def _thaw(conn: Any, *tables: str) -> None:
    for table in tables:
        await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_frozen")


async def _move(conn: Any, trade: Trade, cause: UUID, kind: str, on_hand: int, reserved: int, *, offer: int) -> None:
    key = trade.offers[offer]
    await conn.execute(
        "INSERT INTO movements (cause_id, kind, variant_id, seller_id, on_hand_delta, reserved_delta, actor)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *(cause, kind, key.variant_id, key.seller_id, on_hand, reserved, NOBODY),
    )


async def _add_stock(conn: Any, trade: Trade, column: str, units: int, *, offer: int) -> None:
    key = trade.offers[offer]
    await conn.execute(
        f"UPDATE stock SET {column} = {column} + $1 WHERE variant_id = $2 AND seller_id = $3",
        *(units, key.variant_id, key.seller_id),
    )


@breaks("stock_is_sum_of_movements")
async def a_unit_appears(conn, trade):
    await _add_stock(conn, trade, "on_hand", 1, offer=0)


@breaks("reserved_is_sum_of_reservations")
async def a_unit_is_reserved_by_nobody(conn, trade):
    await _add_stock(conn, trade, "reserved", 1, offer=0)
    await _move(conn, trade, NOBODY, "adjusted", 0, 1, offer=0)


@breaks("nothing_oversold")
async def more_is_held_than_came_in(conn, trade):
    key = trade.offers[0]
    await conn.execute("ALTER TABLE stock DROP CONSTRAINT stock_never_oversold")
    await conn.execute(
        "INSERT INTO reservations (id, variant_id, seller_id, quantity, owner, expires_at)"
        " VALUES ($1, $2, $3, 1000, $1, now())",
        *(NOBODY, key.variant_id, key.seller_id),
    )
    await conn.execute(
        "INSERT INTO events (stream, version, type, data, actor) VALUES ($1, 1, 'reservation.made', '{}', $1)", NOBODY
    )
    await _move(conn, trade, NOBODY, "reserved", 0, 1000, offer=0)
    await _add_stock(conn, trade, "reserved", 1000, offer=0)


@breaks("reservations_match_movements")
async def a_hold_has_no_beginning(conn, trade):
    await _thaw(conn, "movements")
    await conn.execute("UPDATE movements SET kind = 'adjusted' WHERE cause_id = $1", _hold(trade.placed, 0))


@breaks("reservations_match_movements")
async def a_hold_ends_twice(conn, trade):
    await _move(conn, trade, _hold(trade.cancelled, 0), "expired", 0, -1, offer=0)
    await _move(conn, trade, NOBODY, "adjusted", 0, 1, offer=0)


@breaks("reservations_match_movements")
async def a_hold_ends_as_something_else(conn, trade):
    await conn.execute("UPDATE reservations SET status = 'expired' WHERE id = $1", _hold(trade.cancelled, 0))


@breaks("one_place_per_command")
async def a_finished_command_is_queued_again(conn, trade):
    await conn.execute("INSERT INTO pending (id, job) VALUES ($1, 'place_orders')", trade.placed)


@breaks("one_place_per_command")
async def a_queued_command_vanishes(conn, trade):
    await conn.execute("DELETE FROM pending WHERE id = $1", trade.queued)


@breaks("one_place_per_command")
async def a_parked_command_has_an_outcome(conn, trade):
    await conn.execute("INSERT INTO outcomes (id, status) VALUES ($1, 'cancelled')", trade.parked)


@breaks("one_place_per_command")
async def an_outcome_of_no_command(conn, trade):
    await conn.execute("DELETE FROM commands WHERE id = $1", trade.sweep)


@breaks("keys_have_one_command")
async def a_command_answers_to_two_keys(conn, trade):
    await conn.execute(
        "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint)"
        " SELECT principal, '0123456789abcdef', command_id, fingerprint FROM idempotency WHERE command_id = $1",
        trade.placed,
    )


@breaks("keys_have_one_command")
async def a_key_points_to_nothing(conn, trade):
    last = ids.compose(ids.unix_ms(trade.queued) + 1, bytes(8))
    await conn.execute("UPDATE idempotency SET command_id = $1 WHERE command_id = $2", last, trade.placed)


@breaks("keys_have_one_command")
async def a_key_of_somebody_else(conn, trade):
    await conn.execute("UPDATE idempotency SET principal = $1 WHERE command_id = $2", NOBODY, trade.placed)


@breaks("placements_match_orders")
async def an_order_that_was_refused(conn, trade):
    await conn.execute(
        "UPDATE outcomes SET status = 'rejected', result = NULL, problem = '{}' WHERE id = $1", trade.placed
    )


@breaks("placements_match_orders")
async def a_success_without_an_order(conn, trade):
    await conn.execute(
        "UPDATE outcomes SET status = 'succeeded', result = '{}', problem = NULL WHERE id = $1", trade.rejected
    )


@breaks("placements_match_orders")
async def an_answer_with_another_total(conn, trade):
    changed = "jsonb_set(result::jsonb, '{total,amount}', '1')::json"
    await conn.execute(f"UPDATE outcomes SET result = {changed} WHERE id = $1", trade.placed)


@breaks("placements_match_orders")
async def an_order_nobody_asked_for(conn, trade):
    await conn.execute("DELETE FROM outcomes WHERE id = $1", trade.partly_cancelled)
    await conn.execute("DELETE FROM commands WHERE id = $1", trade.partly_cancelled)


@breaks("cancellations_match_outcomes")
async def an_answer_with_other_lines(conn, trade):
    changed = "jsonb_set(result::jsonb, '{cancelled_lines}', '[]')::json"
    await conn.execute(f"UPDATE outcomes SET result = {changed} WHERE id = $1", trade.cancelling)


@breaks("last_price_version_is_the_open_lines")
async def a_cancelled_line_is_charged(conn, trade):
    await _thaw(conn, "price_versions")
    await conn.execute(
        "UPDATE price_versions SET lines = '{0}', amounts_minor = '{2400}', total_minor = 2400"
        " WHERE order_id = $1 AND version = 2",
        trade.partly_cancelled,
    )


@breaks("seller_orders_match_lines")
async def a_seller_without_a_line(conn, trade):
    await conn.execute(
        "INSERT INTO seller_orders (order_id, seller_id, seller_no) VALUES ($1, $2, 9)", trade.placed, NOBODY
    )


@breaks("seller_orders_match_lines")
async def an_open_part_that_is_cancelled(conn, trade):
    await conn.execute("UPDATE seller_orders SET fulfilment = 'cancelled' WHERE order_id = $1", trade.placed)


@breaks("placed_events_match_orders")
async def an_event_with_another_total(conn, trade):
    await _thaw(conn, "events")
    await conn.execute("UPDATE events SET data = jsonb_set(data, '{total_minor}', '1') WHERE stream = $1", trade.placed)


@breaks("placed_events_match_orders")
async def an_event_with_another_quantity(conn, trade):
    await _thaw(conn, "events")
    await conn.execute(
        "UPDATE events SET data = jsonb_set(data, '{lines,0,quantity}', '9') WHERE stream = $1", trade.placed
    )


@breaks("cancelled_lines_match_events")
async def an_event_that_names_no_line(conn, trade):
    await _thaw(conn, "events")
    await conn.execute(
        "UPDATE events SET data = jsonb_set(data, '{lines}', '[]') WHERE stream = $1 AND version = 2", trade.cancelled
    )


@breaks("expired_orders_match_events")
async def an_order_comes_back_to_life(conn, trade):
    await conn.execute("UPDATE orders SET expired_at = NULL WHERE id = $1", trade.expired)


@breaks("order_version_is_last_event")
async def a_change_without_an_event(conn, trade):
    await conn.execute("UPDATE orders SET version = version + 1 WHERE id = $1", trade.placed)


@breaks("open_lines_are_held")
async def a_hold_ends_before_its_time(conn, trade):
    hold = _hold(trade.placed, 0)
    await conn.execute("UPDATE reservations SET status = 'expired' WHERE id = $1", hold)
    await _move(conn, trade, hold, "expired", 0, -2, offer=0)
    await _add_stock(conn, trade, "reserved", -2, offer=0)


@breaks("ended_lines_hold_nothing")
async def a_cancelled_line_keeps_its_units(conn, trade):
    hold = _hold(trade.cancelled, 0)
    await _thaw(conn, "movements")
    await conn.execute("UPDATE reservations SET status = 'active' WHERE id = $1", hold)
    await conn.execute("DELETE FROM movements WHERE cause_id = $1 AND kind = 'released'", hold)
    await _add_stock(conn, trade, "reserved", 1, offer=0)


class _Undone:
    """A connection in a transaction that is never committed, so that all tests break the same database."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn

    async def execute(self, query: str, *args: object) -> None:
        if not query.startswith(("BEGIN", "ROLLBACK")):
            await self._conn.execute(query, *args)

    async def fetch(self, query: str, *args: object) -> Any:
        return await self._conn.fetch(query, *args)


async def _corrupt_and_audit(conn: Any, trade: Trade, corrupt: Corrupt) -> Audit:
    await conn.execute("BEGIN")
    try:
        undone = _Undone(conn)
        await corrupt(undone, trade)
        return await run_audit(undone)
    finally:
        await conn.execute("ROLLBACK")


@pytest.fixture(scope="module")
def broken(stack: EmbeddedStack, traded_template: tuple[str, Trade]) -> Iterator[Callable[[Corrupt], Audit]]:
    """What the audit finds where something was broken. One session for all: it knows the audit's statements by then."""
    template, trade = traded_template
    name = f"{template}_broken"
    with asyncio.Runner() as runner:
        conn: Any = runner.run(asyncpg.connect(databases.create(stack, name, template)))
        yield lambda corrupt: runner.run(_corrupt_and_audit(conn, trade, corrupt))
        runner.run(conn.close())
    databases.drop(stack, name)


async def _corrupt(url: str, trade: Trade, corrupt: Corrupt) -> None:
    conn: Any = await asyncpg.connect(url)
    await corrupt(conn, trade)
    await conn.close()


async def _audit(url: str) -> Audit:
    conn: Any = await asyncpg.connect(url)
    try:
        return await run_audit(conn)
    finally:
        await conn.close()


_CASES = [
    *_WAYS.cases,
    *broken_carts.WAYS.cases,
    *broken_stock.WAYS.cases,
    *broken_payments.WAYS.cases,
    *broken_fulfilment.WAYS.cases,
    *broken_ledger.WAYS.cases,
    *broken_payouts.WAYS.cases,
    *broken_invoices.WAYS.cases,
    *broken_taxonomy.WAYS.cases,
    *broken_offers.WAYS.cases,
    *broken_prices.WAYS.cases,
    *broken_products.WAYS.cases,
    *broken_sellers.WAYS.cases,
    *broken_promotions.WAYS.cases,
    *broken_returns.WAYS.cases,
]


def test_what_trade_does_violates_nothing(traded_once):
    url, _ = traded_once
    found = asyncio.run(_audit(url))
    assert [check for check in found.checks if check.violations] == []
    assert [check.name for check in found.checks] == list(INVARIANTS)


def test_every_check_is_broken_in_some_way():
    assert {case.values[0] for case in _CASES} == set(INVARIANTS)


@pytest.mark.parametrize(("name", "corrupt"), _CASES)
def test_a_check_notices_what_it_is_for_and_no_other_does(broken, name, corrupt):
    found = broken(corrupt)
    assert {check.name for check in found.checks if check.violations} == {name}
    check = next(check for check in found.checks if check.name == name)
    assert len(check.sample) == min(check.violations, SAMPLE_MAX)
    assert found.violations == check.violations


def test_a_slice_of_orders_is_audited_like_all_of_them(traded, monkeypatch):
    url, trade = traded
    monkeypatch.setattr(invariants, "_SLICE_ORDERS", 1)
    assert asyncio.run(_audit(url)).violations == 0
    asyncio.run(_corrupt(url, trade, a_change_without_an_event))
    found = asyncio.run(_audit(url))
    assert found.violations == 1
    assert [check.sample for check in found.checks if check.violations] == [[str(trade.placed)]]


def test_the_command_prints_the_audit_and_ends_with_0_when_all_is_well(traded_once):
    url, _ = traded_once
    env = environment(DATABASE_URL=url)
    printed = ordermill("audit", env=env).stdout
    assert all(name in printed for name in INVARIANTS)
    assert f"{len(INVARIANTS)} checks, 0 violations" in printed


def test_the_command_ends_with_1_and_names_the_key_of_a_violation(traded):
    url, trade = traded
    asyncio.run(_corrupt(url, trade, a_change_without_an_event))
    found = result_of("audit", env=environment(DATABASE_URL=url), status=1)
    assert found["violations"] == 1
    assert [check for check in found["checks"] if check["violations"]] == [
        {"name": "order_version_is_last_event", "violations": 1, "sample": [str(trade.placed)]}
    ]
