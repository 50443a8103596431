"""The demo: its figures add up, and each thing it must never show makes it fail."""

from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from domain import ids
from domain.journal.model import SYSTEM
from domain.orders.model import OrderStatus, Payment
from infra.clock import new_id
from ops.demo import DUPLICATES, UNITS, Milliseconds, Result, demo
from ops.output import Output
from ops.sale import EXPIRING, Size, Story, draw_up
from ops.shopper import Standing
from ops.story import EXPIRED, PAID, end_of
from ops.takings import count_takings
from tests.builders import write_offers

SMALL = Size(
    rush=240, late=30, scarce_units=40, buyers=60, code_uses_max=20, succeeded_min=100, served=36, hold_seconds=8
)
GOOD = Result(
    orders_submitted=2_600,
    succeeded=1_600,
    rejected=1_000,
    failed=0,
    units_available=10_000,
    units_sold=4_000,
    oversold=0,
    duplicates=0,
    audit_violations=0,
    orders_per_second=1_000.0,
    outcome_ms=Milliseconds(10, 20),
    repeats=900,
    repeats_astray=0,
    cancelled=90,
    cancelled_in_part=110,
    code_uses=100,
    code_uses_returned=9,
    code_uses_max=100,
    discounts_minor=90_000,
    lines_with_commission=3_000,
    succeeded_min=1_000,
    paid=1_400,
    declined=160,
    expired=120,
    captured_minor=20_000_000,
    refunded_minor=1_000_000,
    delivered=150,
    partly_shipped=20,
    returned=40,
    ledger_balance_minor=0,
    commission_minor=2_000_000,
    payouts_minor=3_000_000,
    money_astray=0,
    orders_astray=0,
)


def test_numbers_of_a_small_sale_add_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    # Migrating names its database in the environment: it must not stay there for other tests.
    monkeypatch.setenv("DATABASE_URL", "")
    result = demo(Output(json=True), SMALL)
    assert result.good
    assert result.orders_submitted == SMALL.rush + SMALL.late
    assert result.succeeded + result.rejected + result.failed == result.orders_submitted
    assert result.rejected > 20
    assert 0 < result.units_sold < result.units_available
    assert (result.oversold, result.duplicates, result.audit_violations, result.failed) == (0, 0, 0, 0)
    sale = draw_up(SMALL, 1)
    wishes = [*sale.rush, *sale.late]
    assert result.repeats > sum(wish.copies - 1 + wish.resent for wish in wishes) > 0
    assert result.cancelled > 0
    assert result.cancelled_in_part > 0
    assert 0 < result.code_uses <= result.code_uses_max == SMALL.code_uses_max
    assert result.discounts_minor > 0
    assert result.lines_with_commission > 0
    assert result.paid > result.declined > result.expired > 0
    assert result.captured_minor > result.refunded_minor > 0
    assert (result.money_astray, result.orders_astray) == (0, 0)
    assert result.delivered > result.returned > 0
    assert result.partly_shipped > 0
    assert (result.ledger_balance_minor, result.commission_minor > 0, result.payouts_minor > 0) == (0, True, True)
    assert 0 < result.outcome_ms.p50 <= result.outcome_ms.p99
    told = capsys.readouterr()
    assert told.out == ""
    assert "Nothing was oversold, doubled or lost." in told.err


def test_sale_is_the_same_each_time():
    assert draw_up(SMALL, 7) == draw_up(SMALL, 7)


def test_full_sale_is_oversubscribed_and_large():
    sale = draw_up(Size(), 1)
    scarce = {offer.variant_id for offer in sale.scarce}
    asked = sum(wish.order.lines[0].variant_id in scarce for wish in sale.rush)
    assert len(sale.rush) + len(sale.late) >= 2_000
    assert asked >= 3 * sum(offer.units for offer in sale.scarce)
    assert len(sale.rush) - asked > Size().succeeded_min
    assert sum(len({line.seller_id for line in wish.order.lines}) > 1 for wish in sale.rush) > 100


@pytest.mark.parametrize("story", Story)
def test_each_story_is_told_and_has_an_end(story: Story):
    told = [wish for wish in draw_up(Size(), 1).rush if wish.story is story]
    assert len(told) > 50
    assert {end_of(wish).status for wish in told} <= {OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.EXPIRED}
    assert (story in EXPIRING) == all(end_of(wish).status is OrderStatus.EXPIRED for wish in told)


@pytest.mark.parametrize(
    "figure",
    [
        "failed",
        "oversold",
        "duplicates",
        "audit_violations",
        "repeats_astray",
        "money_astray",
        "orders_astray",
        "ledger_balance_minor",
    ],
)
def test_one_of_what_must_not_be_is_a_failure(figure: str):
    assert GOOD.good
    assert not replace(GOOD, **{figure: 1}).good
    assert not replace(GOOD, succeeded=999).good


async def _order(conn: Any, offer: Any, *, key: str, principal: Any, units: int) -> None:
    """An order as it would stand there if nothing had kept it from being written."""
    order = new_id()
    await conn.execute(
        "INSERT INTO commands (id, job, principal, payload, correlation) VALUES ($1, 'place_orders', $2, '{}', $3)",
        order,
        principal,
        key,
    )
    await conn.execute(
        "INSERT INTO orders (id, number, buyer, currency, placed_at, expires_at)"
        " VALUES ($1, $2, $3, 'USD', now(), now() + interval '1 hour')",
        order,
        ids.order_number(order),
        principal,
    )
    await conn.execute("INSERT INTO seller_orders VALUES ($1, $2, 0)", order, offer.seller_id)
    await conn.execute(
        "INSERT INTO order_lines VALUES ($1, 0, $2, $3, 'sku', 'title', NULL, '{}', $4, 100, 100 * $4)",
        order,
        offer.seller_id,
        offer.variant_id,
        units,
    )


@pytest.mark.anyio
async def test_second_order_of_a_key_is_a_duplicate(conn: Any):
    (offer,) = await write_offers(conn)
    buyer, other = uuid4(), uuid4()
    await _order(conn, offer, key="once", principal=buyer, units=1)
    await _order(conn, offer, key="once", principal=other, units=1)
    assert await conn.fetchval(DUPLICATES) == 0
    await _order(conn, offer, key="once", principal=buyer, units=1)
    assert await conn.fetchval(DUPLICATES) == 1


@pytest.mark.anyio
async def test_units_beyond_those_received_are_oversold_offer_by_offer(conn: Any):
    few, many = await write_offers(conn, offers=2, units=10)
    await _order(conn, few, key="a", principal=SYSTEM, units=10)
    assert dict(await conn.fetchrow(UNITS)) == {"available": 20, "sold": 10, "oversold": 0}
    await _order(conn, few, key="b", principal=SYSTEM, units=3)
    await _order(conn, many, key="c", principal=SYSTEM, units=1)
    assert dict(await conn.fetchrow(UNITS)) == {"available": 20, "sold": 14, "oversold": 3}


@pytest.mark.anyio
async def test_money_that_its_order_does_not_say_is_astray_and_so_is_an_order_left_otherwise(conn: Any):
    till_id = new_id()
    (offer,) = await write_offers(conn)
    await _order(conn, offer, key="a", principal=uuid4(), units=1)
    order = await conn.fetchval("SELECT id FROM orders")
    await conn.execute(
        "INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)"
        " VALUES ($1, 1, '{0}', '{100}', 100)",
        order,
    )
    waiting = Standing(OrderStatus.PENDING_PAYMENT, Payment.UNPAID)
    taken = await count_takings(conn, {order: waiting})
    assert (taken.captured_minor, taken.money_astray, taken.orders_astray) == (0, 0, 0)
    assert (await count_takings(conn, {order: EXPIRED, till_id: PAID})).orders_astray == 2
    await conn.execute(
        "INSERT INTO payments (id, order_id, attempt_no, gateway, capture, amount_minor, currency, state,"
        " captured_minor, created_at, updated_at)"
        " VALUES ($1, $2, 1, 'sandbox', 'now', 100, 'USD', 'captured', 100, now(), now())",
        till_id,
        order,
    )
    taken = await count_takings(conn, {order: waiting})
    assert (taken.captured_minor, taken.money_astray) == (100, 1)
