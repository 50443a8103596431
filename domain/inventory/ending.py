"""The decision to end holds that belong to no order, or to hold them for longer.

Invariant: pure, one command at a time in the order given. A hold ends once. It is over at its ``expires_at``, whether
or not the sweep has come by: what counts is when a request was accepted, so that who asked in time loses nothing by
waiting in the queue, unless somebody needed the units meanwhile. A reservation lasts ``RESERVATION_SECONDS_MAX`` in
all, from when it was asked for, however often it is extended.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import ids
from domain.inventory.hold_model import EndedHold, EndHold, ExtendedHold, ExtendHold, Hold, ReservationExtended
from domain.inventory.holding import reservation_event
from domain.inventory.model import ReservationStatus
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.limits import Limits
from domain.rejections import Code, Rejection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EndPlan(Struct, frozen=True):
    """What ending holds comes to: whose to end how, by whom, on which request."""

    outcomes: list[BatchOutcome]
    ending: dict[ReservationStatus, list[UUID]]
    by: dict[UUID, tuple[UUID, str]]
    """hold -> (who, correlation)"""


class ExtendPlan(Struct, frozen=True):
    """What holding for longer comes to."""

    outcomes: list[BatchOutcome]
    extended: dict[UUID, tuple[datetime, int]]
    """hold -> (when it expires, its new version)"""
    events: list[Event]


def decide_ends(commands: Sequence[Claimed[EndHold]], holds: Mapping[UUID, Hold]) -> EndPlan:
    """Decide which of some locked holds end."""
    plan = EndPlan([], {ReservationStatus.RELEASED: [], ReservationStatus.CONFIRMED: []}, {})
    standing = dict(holds)

    def end(claimed: Claimed[EndHold]) -> BatchOutcome:
        hold = _standing(claimed.command.reservation_id, claimed.created_at, standing)
        if isinstance(hold, Rejection):
            return Rejected(hold)
        status = ReservationStatus(claimed.command.ending)
        standing[hold.id] = msgspec.structs.replace(hold, status=status)
        plan.ending[status].append(hold.id)
        plan.by[hold.id] = (claimed.principal, claimed.correlation)
        return Succeeded(EndedHold(hold.id, status))

    plan.outcomes.extend(decide_each(commands, end))
    return plan


def decide_extensions(
    commands: Sequence[Claimed[ExtendHold]], holds: Mapping[UUID, Hold], limits: Limits
) -> ExtendPlan:
    """Decide until when some locked holds last; none is ever shortened."""
    plan = ExtendPlan([], {}, [])
    standing = dict(holds)

    def extend(claimed: Claimed[ExtendHold]) -> BatchOutcome:
        hold = _standing(claimed.command.reservation_id, claimed.created_at, standing)
        if isinstance(hold, Rejection):
            return Rejected(hold)
        wished = claimed.created_at + timedelta(seconds=claimed.command.seconds or limits.reservation_seconds)
        last = asked_at(hold.id) + timedelta(seconds=limits.reservation_seconds_max)
        if wished > last:
            detail = f"a reservation lasts {limits.reservation_seconds_max} s in all: this one until {last.isoformat()}"
            return Rejected(Rejection(409, Code.LIMIT_REACHED, detail, "seconds"))
        if wished <= hold.expires_at:
            return Succeeded(ExtendedHold(hold.id, hold.expires_at))
        fact = ReservationExtended(wished)
        by = (claimed.principal, claimed.correlation)
        event = reservation_event(hold.id, hold.version + 1, "reservation.extended", fact, by)
        plan.events.append(event)
        plan.extended[hold.id] = (wished, hold.version + 1)
        standing[hold.id] = msgspec.structs.replace(hold, expires_at=wished, version=hold.version + 1)
        return Succeeded(ExtendedHold(hold.id, wished))

    plan.outcomes.extend(decide_each(commands, extend))
    return plan


def asked_at(hold: UUID) -> datetime:
    """When a hold was asked for, as its id tells."""
    return _EPOCH + timedelta(milliseconds=ids.unix_ms(hold))


def _standing(hold_id: UUID, accepted_at: datetime, holds: Mapping[UUID, Hold]) -> Hold | Rejection:
    """A hold that something may be done with."""
    hold = holds.get(hold_id)
    if hold is None:
        return Rejection(404, Code.NOT_FOUND, "there is no such reservation: what was to make it came to nothing")
    refusal = refuse_use(hold, accepted_at)
    return hold if refusal is None else Rejection(409, Code.RESERVATION_STATE, refusal)


def refuse_use(hold: Hold, accepted_at: datetime) -> str | None:
    """Why a hold is no longer to be used by somebody who asked at a moment; None when it is."""
    if hold.order_id is not None:
        return f"the reservation belongs to the order {hold.order_id} and moves with it"
    if hold.status is not ReservationStatus.ACTIVE:
        return f"the reservation is {hold.status.value}"
    if hold.expires_at <= accepted_at:
        return f"the reservation expired at {hold.expires_at.isoformat()}"
    return None
