"""The decision what commission the lines of confirmed orders pay.

Invariant: pure; decided once for an order, on its last price version, by the terms its lines were placed with.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.declare import decide_each
from domain.journal.model import SYSTEM, BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.money import Money
from domain.orders.cancellation import OpenOrder
from domain.orders.commission_sql import FrozenLine
from domain.orders.lifecycle import order_status
from domain.orders.model import CommissionSnapshotted, OrderStatus, SnapshottedLine
from domain.pricing.commission import CommissionRules
from domain.pricing.snapshot import Snapshot, SnapshotCommissions, amount_of, base_of
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class SnapshottedOrder(Struct, frozen=True):
    """The result: what the order's lines pay together."""

    order_id: UUID
    commission: Money


class SnapshotPlan(Struct, frozen=True):
    """What snapshots come to: rows, streams' new versions by order, events."""

    outcomes: list[BatchOutcome]
    snapshots: list[Snapshot]
    versions: dict[UUID, int]
    events: list[Event]


def decide(
    commands: Sequence[Claimed[SnapshotCommissions]],
    orders: Mapping[UUID, OpenOrder],
    lines: Mapping[UUID, Sequence[FrozenLine]],
    rules: Mapping[int, CommissionRules],
    done: Collection[UUID],
) -> SnapshotPlan:
    """Decide snapshots of orders under lock; ``done`` have theirs, ``rules`` are by version."""
    plan = SnapshotPlan([], [], {}, [])

    def snapshot(claimed: Claimed[SnapshotCommissions]) -> BatchOutcome:
        order = orders.get(claimed.command.order_id)
        if order is None:
            return Rejected(Rejection(404, Code.NOT_FOUND, "there is no such order"))
        if order.id in done or order.id in plan.versions:
            return Rejected(Rejection(409, Code.CONFLICT, "the order's commission is worked out already"))
        status = order_status(order.payment, list(order.fulfilments.values()), expired=order.expired)
        if status not in {OrderStatus.CONFIRMED, OrderStatus.COMPLETED}:
            return Rejected(
                Rejection(409, Code.ORDER_STATE, f"the order is {status.value}; commission is for confirmed ones")
            )
        made = [
            snapshot_of(line, order, rules[line.version])
            for line in lines[order.id]
            if line.line_no in order.price.lines
        ]
        told = tuple(SnapshottedLine(s.line_no, s.rule_id, s.base_minor, s.amount_minor) for s in made)
        event = Event(
            order.id,
            order.version + 1,
            "order.commission_snapshotted",
            _encode(CommissionSnapshotted(told)).decode(),
            SYSTEM,
            claimed.correlation,
        )
        order.version += 1
        plan.versions[order.id] = order.version
        plan.snapshots.extend(made)
        plan.events.append(event)
        return Succeeded(SnapshottedOrder(order.id, Money(sum(s.amount_minor for s in made), order.currency)))

    plan.outcomes.extend(decide_each(commands, snapshot))
    return plan


def snapshot_of(line: FrozenLine, order: OpenOrder, rules: CommissionRules) -> Snapshot:
    """What a line pays on the order's last price version; ``rules`` are those it was placed under."""
    amounts = order.price.lines[line.line_no]
    base = base_of(amounts.net_minor, amounts.platform_discount_minor, amounts.tax_minor, amounts.added_tax_minor)
    return Snapshot(
        order_id=order.id,
        line_no=line.line_no,
        seller_id=line.facts.seller_id,
        rule_id=line.rule_id,
        base_minor=base,
        amount_minor=amount_of(line.rule_id, line.terms, base, line.quantity),
        currency=line.currency,
        considered=tuple(rules.consider(line.facts, line.currency, line.placed_at)),
    )
