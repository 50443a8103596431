"""The decision to give back what was paid for lines, unit by unit, and for shipping.

Invariant: pure; one command at a time, each seeing what the ones before it decided. Never more is given back than was
captured. Lines of which nothing has been shipped are cancelled by it; of units that haven't been shipped the sale is
undone, and they aren't shipped any more. What has been shipped stays with the buyer unless it is returned.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct, field

from domain import ids
from domain.inventory.model import PutBack
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Cause, Claimed, Deferred, Rejected, Succeeded
from domain.money import Money
from domain.orders.cancellation import OpenOrder, Placing, Reversal, cancel_lines, go_on, not_placed
from domain.orders.crediting import (
    NOTHING,
    CreditedUnits,
    LineCredit,
    OrderCredited,
    ShippingCredit,
    credit_units,
    line_credit,
    whole_shipping,
)
from domain.orders.lifecycle import order_status
from domain.orders.model import SellerLess
from domain.payments.model import Refund
from domain.payments.refund_model import RefundedOrder, RefundedUnits, RefundOrder
from domain.payments.settlement import Account, SettlementPlan, pay_back, settle_up, tell
from domain.rejections import Code, Rejection


class Wish(Struct):
    """What of an order is to be given back: units by line, and sellers' shipping by number."""

    units: dict[int, int] = field(default_factory=dict)
    shipping: list[int] = field(default_factory=list)


class Given(Struct, frozen=True):
    """What is given back."""

    lines: list[LineCredit]
    shipping: list[ShippingCredit]

    @property
    def amount_minor(self) -> int:
        """What the buyer gets."""
        return sum([c.parts.charged_minor for c in self.lines]) + sum([c.parts.charged_minor for c in self.shipping])


def decide(
    commands: Sequence[Claimed[RefundOrder]], accounts: Mapping[UUID, Account], placings: Mapping[UUID, Placing]
) -> tuple[list[BatchOutcome], SettlementPlan]:
    """Decide refunds; ``placings`` tells of orders that have no row."""
    plan = SettlementPlan()

    def refund(claimed: Claimed[RefundOrder]) -> BatchOutcome:
        command = claimed.command
        account = accounts.get(command.order_id)
        if account is None:
            placing = placings.get(command.order_id)
            return Deferred() if placing is None else Rejected(not_placed(placing))
        cause = Cause(claimed.id, claimed.correlation, claimed.principal)
        if command.lines is None and command.shipping is None and command.seller_id is None:
            again = [settle_up(account, attempt, cause, plan) for attempt in account.attempts.values()]
            if any(again):
                return Succeeded(_asked_again(account, [refund for refund in again if refund is not None]))
        wish = wish_of(account.order, command)
        if isinstance(wish, Rejection):
            return Rejected(wish)
        return _refund(account, wish, command, cause, plan)

    return list(decide_each(commands, refund)), plan


def _asked_again(account: Account, refunds: Sequence[Refund]) -> RefundedOrder:
    """What buyers are owed already comes before anything else is given back: a refund of it has failed."""
    order = account.order
    return RefundedOrder(
        order.id,
        Money(sum(refund.amount_minor for refund in refunds), order.currency),
        (),
        (),
        refunds[-1].payment_id,
        refunds[-1].refund_no,
        order.payment,
        order_status(order.payment, order.fulfilments.values(), expired=order.expired),
    )


def wish_of(order: OpenOrder, command: RefundOrder) -> Wish | Rejection:
    """What a command comes to, or why it can't be."""
    if not order.sold:
        detail = f"the order's payment is {order.payment.value}; what was captured is refunded, the rest is cancelled"
        return Rejection(409, Code.ORDER_STATE, detail)
    if command.seller_id is not None and command.seller_id not in order.fulfilments:
        return Rejection(404, Code.NOT_FOUND, "there is no such order of yours")
    if command.lines is None and command.shipping is None:
        return _all_of(order, command.seller_id)
    wish = Wish()
    return _wish_lines(order, command, wish) or _wish_shipping(order, command, wish) or wish


def _wish_lines(order: OpenOrder, command: RefundOrder, wish: Wish) -> Rejection | None:
    for place, line in enumerate(command.lines or ()):
        n = line.line_no
        if n not in order.sellers or command.seller_id not in {None, order.sellers[n]}:
            return Rejection(422, Code.UNKNOWN_LINE, f"the order has no line {n}", f"lines[{place}].line_no")
        left = left_of(order, n) - wish.units.get(n, 0)
        units = left if line.quantity is None else line.quantity
        if not 0 < units <= left:
            detail = f"of line {n} {left} units can still be refunded"
            return Rejection(409, Code.NOTHING_TO_REFUND, detail, f"lines[{place}]")
        wish.units[n] = wish.units.get(n, 0) + units
    return None


def _wish_shipping(order: OpenOrder, command: RefundOrder, wish: Wish) -> Rejection | None:
    for place, seller_id in enumerate(command.shipping or ()):
        if seller_id not in order.fulfilments or command.seller_id not in {None, seller_id}:
            return Rejection(422, Code.UNKNOWN_LINE, "the order has no such seller", f"shipping[{place}]")
        number = order.seller_nos[seller_id]
        if number not in _shipping_left(order) or number in wish.shipping:
            detail = "nothing was paid for this seller's shipping that could still be refunded"
            return Rejection(409, Code.NOTHING_TO_REFUND, detail, f"shipping[{place}]")
        wish.shipping.append(number)
    return None


def _all_of(order: OpenOrder, seller_id: UUID | None) -> Wish:
    """All that is left of an order, or of a seller's part of it."""
    units = {
        n: left_of(order, n)
        for n in sorted(order.price.lines)
        if seller_id in {None, order.sellers[n]} and left_of(order, n)
    }
    numbers = [n for s, n in order.seller_nos.items() if seller_id in {None, s} and n in _shipping_left(order)]
    return Wish(units, numbers)


def left_of(order: OpenOrder, line_no: int) -> int:
    """How many units of a line can still be given back."""
    if line_no not in order.price.lines:
        return 0
    return order.quantities[line_no] - order.credited.get(line_no, NOTHING).quantity


def _shipping_left(order: OpenOrder) -> set[int]:
    return set(order.price.shipping) - order.shipping_credited


def _refund(account: Account, wish: Wish, command: RefundOrder, cause: Cause, plan: SettlementPlan) -> BatchOutcome:
    order = account.order
    given = credits_of(order, wish, cause)
    if not (given.lines or given.shipping):
        return Rejected(Rejection(409, Code.NOTHING_TO_REFUND, "nothing is left of it that could be refunded"))
    if given.amount_minor and not (account.current and account.current.refundable_minor):
        detail = "nothing of what was paid is left: the buyer's bank or the gateway itself has given it back"
        return Rejected(Rejection(409, Code.NOTHING_TO_REFUND, detail))
    give_back(order, given, command.reason, cause, plan)
    refund = pay_back(account, given.amount_minor, plan, reason=command.reason or "refunded", cause=cause)
    units = [RefundedUnits(c.line_no, c.quantity, Money(c.parts.charged_minor, order.currency)) for c in given.lines]
    return Succeeded(
        RefundedOrder(
            order.id,
            Money(0 if refund is None else refund.amount_minor, order.currency),
            tuple(units),
            tuple(list(order.fulfilments)[each.seller_no] for each in given.shipping),
            None if refund is None else refund.payment_id,
            None if refund is None else refund.refund_no,
            order.payment,
            order_status(order.payment, order.fulfilments.values(), expired=order.expired),
        )
    )


def credits_of(order: OpenOrder, wish: Wish, cause: Cause) -> Given:
    """What giving units and shipping back comes to; nothing is changed by it.

    Of a line's units those that have been shipped are given back first, if they weren't before. With a seller's last
    unit, when nothing of theirs has been shipped, goes their shipping.
    """
    lines: list[LineCredit] = []
    for n, units in wish.units.items():
        before = order.credited.get(n, NOTHING)
        kept = order.shipped.get(n, 0) - (before.quantity - before.unshipped)
        unshipped = units - min(units, max(0, kept))
        after = credit_units(order.price.lines[n], order.quantities[n], before, units, unshipped)
        lines.append(line_credit(order.id, n, cause.command_id, before=before, after=after))
    numbers = sorted({*wish.shipping, *_never_sent(order, wish)} & _shipping_left(order))
    shipping = [
        ShippingCredit(order.id, number, cause.command_id, whole_shipping(order.price.shipping[number]))
        for number in numbers
    ]
    return Given(lines, shipping)


def _never_sent(order: OpenOrder, wish: Wish) -> set[int]:
    """The numbers of the seller orders of which nothing was shipped and nothing is left to ship."""
    found: set[int] = set()
    for seller_id, number in order.seller_nos.items():
        lines = [n for n in order.price.lines if order.sellers[n] == seller_id]
        gone = all(left_of(order, n) == wish.units.get(n, 0) for n in lines)
        if lines and gone and not any(order.shipped.get(n) for n in lines):
            found.add(number)
    return found


def give_back(order: OpenOrder, given: Given, reason: str, cause: Cause, plan: SettlementPlan) -> None:
    """Give lines and shipping of a sold order back; the money is asked for apart."""
    cancelled = plan.cancelled
    plan.orders[order.id] = order
    whole = [c.line_no for c in given.lines if c.after.quantity == c.after.unshipped == order.quantities[c.line_no]]
    for sent in given.shipping:
        # Written here, so that cancelling a seller's last lines doesn't write it again.
        order.shipping_credited.add(sent.seller_no)
        cancelled.shipping_credits.append(sent)
    if whole:
        cancel_lines(order, whole, reason, cause, cancelled)
    part = [each for each in given.lines if each.line_no not in whole]
    for each in part:
        order.credited[each.line_no] = each.after
        cancelled.credits.append(each)
        cancelled.reversed.append(Reversal(order.id, each.line_no, cause.command_id, each.after.parts.base_minor))
        if each.unshipped:
            movement = ids.named(f"refund/{cause.command_id}/{each.line_no}")
            hold = order.hold_of(each.line_no)
            cancelled.put_back.append(PutBack(movement, hold, each.unshipped, cause.actor))
    go_on(order, {order.sellers[each.line_no] for each in part}, cause, cancelled)
    left = Given(part, given.shipping)
    if part or left.shipping:
        # Of lines that are cancelled by it the cancellation tells.
        tell(order, "order.credited", _credited(order, left, reason), cause, plan)


def _credited(order: OpenOrder, given: Given, reason: str) -> OrderCredited:
    lines = tuple(CreditedUnits(c.line_no, c.quantity, c.parts.charged_minor, c.unshipped) for c in given.lines)
    less: list[SellerLess] = []
    for number, seller in enumerate(order.fulfilments):
        mine = [each for each in given.lines if order.sellers[each.line_no] == seller]
        shipping = [each for each in given.shipping if each.seller_no == number]
        if mine or shipping:
            amount = sum(each.parts.charged_minor for each in mine) + sum(s.parts.charged_minor for s in shipping)
            less.append(SellerLess(seller, sum(each.quantity for each in mine), amount))
    shipped_by = tuple(list(order.fulfilments)[each.seller_no] for each in given.shipping)
    return OrderCredited(lines, shipped_by, given.amount_minor, reason, order.currency, tuple(less))


def credit_rest(account: Account, payment_id: UUID, cause: Cause, plan: SettlementPlan) -> None:
    """Give back all that is left of an order whose money its gateway has given back whole, whoever asked it to."""
    order, attempt = account.order, account.attempts[payment_id]
    # Of what is captured in several parts, the rest may still be to come.
    whole = attempt.refunded_minor >= attempt.captured_minor >= order.price.total_minor
    if order.sold and order.payment_id == payment_id and whole:
        given = credits_of(order, _all_of(order, None), cause)
        if given.lines or given.shipping:
            give_back(order, given, "given back at the gateway", cause, plan)
