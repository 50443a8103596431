"""The commission of an order as its sellers see it: worked out for good, or, before that, as it would be now."""

from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.money import Money
from domain.orders.commission_sql import FrozenLine, load_frozen_lines, load_rules_at, load_snapshots
from domain.orders.lifecycle import order_status
from domain.orders.model import OrderStatus
from domain.orders.snapshots import snapshot_of
from domain.orders.sql import load_open_orders
from domain.pricing.commission import ConsideredRule
from domain.pricing.commission_preview import TermsView, terms_view
from domain.pricing.snapshot import Snapshot


class LineCommission(Struct, frozen=True):
    """What a line pays, and the terms that were frozen when it was placed; null ones where no rule covered it."""

    line_no: int
    seller_id: UUID
    rule_id: UUID | None
    terms: TermsView | None
    base: Money
    commission: Money
    sellers_share: Money
    considered: list[ConsideredRule]


class OrderCommission(Struct, frozen=True):
    """The lines of an order that aren't cancelled. An ``estimate`` goes by a price that may still change."""

    order_id: UUID
    status: OrderStatus
    estimate: bool
    commission: Money
    lines: list[LineCommission]


async def load_order_commission(conn: Connection, order_id: UUID, seller_id: UUID | None) -> OrderCommission | None:
    """Read what an order's lines pay, or those of one seller; None where there is no such line."""
    order = (await load_open_orders(conn, [order_id])).get(order_id)
    if order is None:
        return None
    lines = {
        line.line_no: line
        for line in await load_frozen_lines(conn, [order_id])
        if seller_id is None or line.facts.seller_id == seller_id
    }
    if not lines:
        return None
    made = await load_snapshots(conn, [order_id])
    if not made:
        rules = await load_rules_at(conn, lines.values())
        open_lines = [line for line in lines.values() if line.line_no in order.price.lines]
        shown = [snapshot_of(line, order, rules[line.version]) for line in open_lines]
    else:
        shown = [snapshot for snapshot in made if snapshot.line_no in lines]
    return OrderCommission(
        order_id=order_id,
        status=order_status(order.payment, list(order.fulfilments.values()), expired=order.expired),
        estimate=not made,
        commission=Money(sum(snapshot.amount_minor for snapshot in shown), order.currency),
        lines=[_line(snapshot, lines[snapshot.line_no]) for snapshot in shown],
    )


def _line(snapshot: Snapshot, line: FrozenLine) -> LineCommission:
    currency = snapshot.currency
    return LineCommission(
        line_no=snapshot.line_no,
        seller_id=snapshot.seller_id,
        rule_id=snapshot.rule_id,
        terms=None if snapshot.rule_id is None else terms_view(line.terms, currency),
        base=Money(snapshot.base_minor, currency),
        commission=Money(snapshot.amount_minor, currency),
        sellers_share=Money(snapshot.base_minor - snapshot.amount_minor, currency),
        considered=list(snapshot.considered),
    )
