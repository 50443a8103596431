"""The decision to take units back: which ones a buyer may send back, and what their seller says to it.

Invariant: pure; one command at a time, each seeing what the ones before it decided. A unit is sent back once: of what
was delivered, what is in a return already that wasn't rejected, and what was refunded without one, stays where it is.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain import ids
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Cause, Claimed, Deferred, Event, Rejected, Succeeded
from domain.orders.cancellation import OpenOrder, Placing, not_placed
from domain.orders.crediting import NOTHING
from domain.orders.fulfilment_model import Units, seller_order_id
from domain.orders.return_model import (
    RETURN,
    DecidedReturn,
    DecideReturn,
    RequestedReturn,
    RequestedReturns,
    RequestReturn,
    ReturnDecided,
    ReturnRequested,
    ReturnState,
    ReturnStep,
)
from domain.rejections import Code, Rejection
from domain.transitions import follow

_encode = msgspec.json.Encoder().encode


class Return(Struct):
    """A return: units by line, and, once it was received, those that came back and those of them on the shelf again."""

    id: UUID
    order_id: UUID
    seller_no: int
    seller_id: UUID
    lines: dict[int, int]
    state: ReturnState = ReturnState.REQUESTED
    reason: str = ""
    answer: str = ""
    received: dict[int, int] = field(default_factory=dict)
    restocked: dict[int, int] = field(default_factory=dict)
    by: UUID | None = None
    """who took the last step"""

    def taken(self, line_no: int) -> int:
        """How many units of a line it keeps from being sent back again."""
        if self.state is ReturnState.REJECTED:
            return 0
        of = self.received if self.state is ReturnState.RECEIVED else self.lines
        return of.get(line_no, 0)


class SentBack(Struct):
    """An order under lock, as those who send something back see it.

    ``arrived`` are units by line with the time at which they were delivered.
    """

    order: OpenOrder
    arrived: dict[int, list[tuple[datetime, int]]]
    returns: dict[UUID, Return]

    def units_left(self, line_no: int, since: datetime) -> int:
        """How many units of a line may be sent back that were delivered since a time."""
        arrived = self.arrived.get(line_no, [])
        credited = self.order.credited.get(line_no, NOTHING)
        # What was refunded without being sent back is the buyer's to keep.
        kept = max(0, credited.quantity - credited.unshipped - self.order.came_back.get(line_no, 0))
        taken = sum(each.taken(line_no) for each in self.returns.values())
        recent = sum(units for at, units in arrived if at >= since)
        return max(0, min(recent - taken, sum(units for _, units in arrived) - taken - kept))


class ReturnPlan(Struct):
    """What a batch comes to. ``outcomes`` stand in the order of the commands."""

    outcomes: list[BatchOutcome] = field(default_factory=list)
    requested: list[Return] = field(default_factory=list)
    decided: list[Return] = field(default_factory=list)
    versions: dict[UUID, int] = field(default_factory=dict)
    """order id -> its stream's new version"""
    events: list[Event] = field(default_factory=list)

    def tell(self, order: OpenOrder, kind: str, said: Struct, cause: Cause) -> None:
        """Have an event of the order written, at its stream's next version."""
        order.version += 1
        self.versions[order.id] = order.version
        data = _encode(said).decode()
        self.events.append(Event(order.id, order.version, kind, data, cause.actor, cause.correlation))


def request(
    commands: Sequence[Claimed[RequestReturn]],
    orders: Mapping[UUID, SentBack],
    placings: Mapping[UUID, Placing],
    now: datetime,
    seconds: int,
) -> ReturnPlan:
    """Decide what may be sent back; ``seconds`` is how long after its delivery."""
    plan, since = ReturnPlan(), now - timedelta(seconds=seconds)

    def ask(claimed: Claimed[RequestReturn]) -> BatchOutcome:
        command = claimed.command
        known = orders.get(command.order_id)
        if known is None:
            placing = placings.get(command.order_id)
            return Deferred() if placing is None else Rejected(not_placed(placing))
        wanted = _wanted(command, known, since)
        if isinstance(wanted, Rejection):
            return Rejected(wanted)
        cause = Cause(claimed.id, claimed.correlation, claimed.principal)
        made = _made(claimed.id, command.reason, known.order, wanted)
        if any(each.id in known.returns for each in made):
            return Rejected(Rejection(409, Code.RETURN_STATE, "this was asked for already"))
        told = [_ask(each, known, cause, plan) for each in made]
        return Succeeded(RequestedReturns(command.order_id, tuple(told)))

    plan.outcomes.extend(decide_each(commands, ask))
    return plan


def _wanted(command: RequestReturn, known: SentBack, since: datetime) -> dict[int, int] | Rejection:
    """Units by line, or why they can't be sent back."""
    wanted: dict[int, int] = {}
    for place, line in enumerate(command.lines):
        n = line.line_no
        if n not in known.order.sellers:
            return Rejection(422, Code.UNKNOWN_LINE, f"the order has no line {n}", f"lines[{place}].line_no")
        left = known.units_left(n, since) - wanted.get(n, 0)
        if line.quantity > left:
            detail = f"{left} units of line {n} can be sent back: delivered, not too long ago, and not sent back before"
            return Rejection(409, Code.UNITS_SHORT, detail, f"lines[{place}].quantity")
        wanted[n] = wanted.get(n, 0) + line.quantity
    return wanted


def _made(command_id: UUID, reason: str, order: OpenOrder, wanted: Mapping[int, int]) -> list[Return]:
    numbers = order.seller_nos
    of: dict[int, dict[int, int]] = {}
    for n in sorted(wanted):
        of.setdefault(numbers[order.sellers[n]], {})[n] = wanted[n]
    sellers = list(order.fulfilments)
    return [
        Return(ids.numbered(command_id, number), order.id, number, sellers[number], lines, reason=reason)
        for number, lines in sorted(of.items())
    ]


def _ask(made: Return, known: SentBack, cause: Cause, plan: ReturnPlan) -> RequestedReturn:
    made.by = cause.actor
    known.returns[made.id] = made
    plan.requested.append(made)
    part = seller_order_id(made.order_id, made.seller_no)
    lines = tuple(Units(n, units) for n, units in made.lines.items())
    said = ReturnRequested(made.id, part, made.seller_id, lines, made.reason)
    plan.tell(known.order, "order.return_requested", said, cause)
    return RequestedReturn(made.id, part, made.seller_id, lines)


def next_return(state: ReturnState, step: ReturnStep) -> ReturnState | Rejection:
    """The state a step leads a return to, or a 409 that names the state and what is allowed from it."""
    return follow(RETURN, state, step, thing="the return", code=Code.RETURN_STATE)


def find(orders: Mapping[UUID, SentBack], order_id: UUID, return_id: UUID) -> Return | Rejection:
    """A return of a locked order."""
    known = orders.get(order_id)
    found = None if known is None else known.returns.get(return_id)
    return Rejection(404, Code.NOT_FOUND, "there is no such return") if found is None else found


def decide(commands: Sequence[Claimed[DecideReturn]], orders: Mapping[UUID, SentBack]) -> ReturnPlan:
    """Decide what sellers say to returns."""
    plan = ReturnPlan()

    def say(claimed: Claimed[DecideReturn]) -> BatchOutcome:
        command = claimed.command
        found = find(orders, command.order_id, command.return_id)
        if isinstance(found, Rejection):
            return Rejected(found)
        new = next_return(found.state, ReturnStep.APPROVE if command.approve else ReturnStep.REJECT)
        if isinstance(new, Rejection):
            return Rejected(new)
        found.state, found.answer, found.by = new, command.reason, claimed.principal
        plan.decided.append(found)
        part = seller_order_id(found.order_id, found.seller_no)
        kind = "order.return_approved" if command.approve else "order.return_rejected"
        said = ReturnDecided(found.id, part, found.seller_id, command.reason)
        cause = Cause(claimed.id, claimed.correlation, claimed.principal)
        plan.tell(orders[command.order_id].order, kind, said, cause)
        return Succeeded(DecidedReturn(found.id, new))

    plan.outcomes.extend(decide_each(commands, say))
    return plan


def orders_of(commands: Collection[Claimed[RequestReturn]] | Collection[Claimed[DecideReturn]]) -> list[UUID]:
    """The orders that commands are about."""
    return sorted({claimed.command.order_id for claimed in commands})
