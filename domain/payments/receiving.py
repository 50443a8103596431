"""The decision what becomes of units that came back: they are refunded, and go back on the shelf if they may.

Invariant: pure; one command at a time, each seeing what the ones before it decided. What came back is written once. A
unit is refunded once, whether it came back or not; what the buyer's bank has taken back already isn't refunded again.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct, field

from domain import ids
from domain.inventory.model import PutBack
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Cause, Claimed, Rejected, Succeeded
from domain.money import Money
from domain.orders.crediting import NOTHING
from domain.orders.fulfilment_model import seller_order_id
from domain.orders.lifecycle import FulfilmentStep, next_fulfilment, order_status
from domain.orders.return_model import ReceivedReturn, ReceivedUnits, ReceiveReturn, ReturnReceived, ReturnStep
from domain.orders.returning import Return, SentBack, find, next_return
from domain.payments.refunding import Wish, credits_of, give_back, left_of
from domain.payments.settlement import Account, SettlementPlan, pay_back, tell
from domain.rejections import Code, Rejection


class Receipts(Struct):
    """What a batch comes to: outcomes in the order of the commands, what is written about money, and the returns."""

    outcomes: list[BatchOutcome] = field(default_factory=list)
    plan: SettlementPlan = field(default_factory=SettlementPlan)
    received: list[Return] = field(default_factory=list)


def decide(
    commands: Sequence[Claimed[ReceiveReturn]], accounts: Mapping[UUID, Account], orders: Mapping[UUID, SentBack]
) -> Receipts:
    """Decide what came back of returns of locked orders."""
    made = Receipts()

    def receive(claimed: Claimed[ReceiveReturn]) -> BatchOutcome:
        command = claimed.command
        found = find(orders, command.order_id, command.return_id)
        if isinstance(found, Rejection):
            return Rejected(found)
        new = next_return(found.state, ReturnStep.RECEIVE)
        if isinstance(new, Rejection):
            return Rejected(new)
        units = _units(command, found)
        if isinstance(units, Rejection):
            return Rejected(units)
        cause = Cause(claimed.id, claimed.correlation, claimed.principal)
        found.state, found.by = new, claimed.principal
        found.received = {n: units[n][0] for n in found.lines}
        found.restocked = {n: units[n][1] for n in found.lines}
        made.received.append(found)
        return Succeeded(
            _receive(found, accounts[command.order_id], reason=command.reason, cause=cause, plan=made.plan)
        )

    made.outcomes.extend(decide_each(commands, receive))
    return made


def _units(command: ReceiveReturn, found: Return) -> dict[int, tuple[int, int]] | Rejection:
    """Units that came back by line, and those of them that go back on the shelf."""
    if command.lines is None:
        return {n: (units, units) for n, units in found.lines.items()}
    units = dict.fromkeys(found.lines, (0, 0))
    for place, line in enumerate(command.lines):
        n = line.line_no
        if n not in units:
            return Rejection(422, Code.UNKNOWN_LINE, f"the return has no line {n}", f"lines[{place}].line_no")
        came, restocked = units[n]
        if came + line.quantity > found.lines[n]:
            detail = f"the return is of {found.lines[n]} units of line {n}"
            return Rejection(409, Code.UNITS_SHORT, detail, f"lines[{place}].quantity")
        units[n] = (came + line.quantity, restocked + (line.quantity if line.restock else 0))
    return units


def _receive(found: Return, account: Account, *, reason: str, cause: Cause, plan: SettlementPlan) -> ReceivedReturn:
    order = account.order
    for n, units in found.received.items():
        order.came_back[n] = order.came_back.get(n, 0) + units
    for n, units in found.restocked.items():
        if units:
            plan.cancelled.put_back.append(PutBack(stock_cause(found.id, n), order.hold_of(n), units, cause.actor))
    refund_minor = _refund(found, account, reason, cause, plan)
    fulfilment = order.fulfilments[found.seller_id]
    if order.is_all_back(found.seller_id):
        after = next_fulfilment(fulfilment, FulfilmentStep.RETURN)
        if not isinstance(after, Rejection):
            order.fulfilments[found.seller_id] = plan.cancelled.fulfilments[order.id, found.seller_id] = after
            fulfilment = after
    lines = tuple(ReceivedUnits(n, units, found.restocked[n]) for n, units in found.received.items())
    part = seller_order_id(order.id, found.seller_no)
    said = ReturnReceived(found.id, part, found.seller_id, lines, refund_minor, fulfilment, reason)
    tell(order, "order.return_received", said, cause, plan)
    return ReceivedReturn(
        found.id,
        found.state,
        lines,
        Money(refund_minor, order.currency),
        fulfilment,
        order_status(order.payment, order.fulfilments.values(), expired=order.expired),
    )


def _refund(found: Return, account: Account, reason: str, cause: Cause, plan: SettlementPlan) -> int:
    """Have refunded what came back and wasn't before; return the amount in minor units."""
    order = account.order
    wish = Wish({n: units for n, came in found.received.items() if (units := min(came, _kept(account, n))) > 0})
    if not order.sold or not wish.units:
        return 0
    given = credits_of(order, wish, cause)
    give_back(order, given, reason or "returned", cause, plan)
    refund = pay_back(account, given.amount_minor, plan, reason="returned", cause=cause)
    return 0 if refund is None else refund.amount_minor


def _kept(account: Account, line_no: int) -> int:
    """How many units of a line were shipped and not refunded."""
    order = account.order
    credited = order.credited.get(line_no, NOTHING)
    shipped = order.shipped.get(line_no, 0) - (credited.quantity - credited.unshipped)
    return max(0, min(shipped, left_of(order, line_no)))


def stock_cause(return_id: UUID, line_no: int) -> UUID:
    """What the movement names as its cause that puts units of a returned line back on the shelf."""
    return ids.named(f"return/{return_id}/{line_no}")
