"""The decision to change stock by hand: counts, differences, backorder limits.

Invariant: pure, on rows that are locked, one change after the other, each seeing what the ones before it decided. What
is reserved stays covered: a change that would leave less is refused, or, where it is forced, adds what is short to the
backorder limit and says so. A change that leaves every figure as it is writes nothing.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import ids
from domain.inventory.model import Movement, MovementKind, StockKey
from domain.inventory.stock_events import events_of
from domain.inventory.stock_model import (
    STOCK_CEILING,
    Cause,
    ChangedStock,
    ImportedStock,
    ImportStock,
    RefusedRow,
    SetStock,
    StockChange,
    StockFigures,
    StockForced,
    StockRow,
    StockSet,
    ThresholdSet,
    Versions,
    fault_of_change,
    key_of,
)
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.rejections import Code, Rejection

PROBLEMS_MAX = 1_000


class Who(Struct, frozen=True):
    """Who changes stock, for what reason, on which request."""

    actor: UUID
    correlation: str
    reason: str
    cause: Cause
    force: bool


class Asked(Struct, frozen=True):
    """A change of one row, with the versions it is meant for, and the id its movement gets."""

    key: StockKey
    change: StockChange | StockRow
    versions: Versions | None
    cause_id: UUID


class StockPlan(Struct, frozen=True):
    """What changes come to: rows with their new figures, movements, events; who was told by force."""

    outcomes: list[BatchOutcome]
    figures: dict[StockKey, StockFigures]
    changed: set[StockKey]
    movements: list[Movement]
    events: list[Event]
    forced: list[tuple[StockKey, int]]
    """(stock, how many units are short)"""


def decide(commands: Sequence[Claimed[SetStock]], figures: Mapping[StockKey, StockFigures]) -> StockPlan:
    """Decide a batch of single changes on locked rows."""
    plan = _new_plan(figures)

    def change(claimed: Claimed[SetStock]) -> BatchOutcome:
        command = claimed.command
        wished = command.change
        who = Who(claimed.principal, claimed.correlation, wished.reason, wished.cause, wished.force)
        cause = ids.child(claimed.id, ids.Kind.MOVEMENT, 0)
        key = key_of(command.variant_id, command.seller_id)
        done = _change(plan, Asked(key, wished, command.versions, cause), who)
        if isinstance(done, Rejection):
            return Rejected(done)
        return Succeeded(_result(key, plan.figures[key], done))

    plan.outcomes.extend(decide_each(commands, change))
    return plan


def decide_imports(commands: Sequence[Claimed[ImportStock]], figures: Mapping[StockKey, StockFigures]) -> StockPlan:
    """Decide whole lists of changes on locked rows; a row that is refused leaves the others as they are."""
    plan = _new_plan(figures)

    def change(claimed: Claimed[ImportStock]) -> BatchOutcome:
        changes = claimed.command.changes
        who = Who(claimed.principal, claimed.correlation, changes.reason, changes.cause, changes.force)
        problems: list[RefusedRow] = []
        unchanged = refused = 0
        forced = len(plan.forced)
        for index, row in enumerate(changes.items):
            key = key_of(row.variant_id, claimed.command.seller_id)
            versions = None if row.version is None else (row.version,)
            told = len(plan.events)
            done = _change(plan, Asked(key, row, versions, ids.numbered(claimed.id, index)), who)
            if not isinstance(done, Rejection):
                unchanged += len(plan.events) == told
                continue
            refused += 1
            if len(problems) < PROBLEMS_MAX:
                at = f"items[{index}]" if done.path is None else f"items[{index}].{done.path}"
                problems.append(RefusedRow(index, msgspec.structs.replace(done, path=at)))
        changed = len(changes.items) - refused - unchanged
        return Succeeded(ImportedStock(changed, unchanged, refused, len(plan.forced) - forced, tuple(problems)))

    plan.outcomes.extend(decide_each(commands, change))
    return plan


def _new_plan(figures: Mapping[StockKey, StockFigures]) -> StockPlan:
    return StockPlan([], dict(figures), set(), [], [], [])


def _result(key: StockKey, figures: StockFigures, forced: int) -> ChangedStock:
    return ChangedStock(
        variant_id=key.variant_id,
        seller_id=key.seller_id,
        on_hand=figures.on_hand,
        reserved=figures.reserved,
        backorder_limit=figures.backorder_limit,
        available=figures.available,
        forced=forced,
        version=figures.version,
    )


def _change(plan: StockPlan, asked: Asked, who: Who) -> int | Rejection:
    """Change one row; return how many units were short, or why it can't be."""
    before = plan.figures.get(asked.key)
    if before is None:
        return Rejection(422, Code.UNKNOWN_OFFER, "there is no such offer of this seller", "variant_id")
    fault = fault_of_change(asked.change, who.cause)
    if fault is not None:
        return fault
    if asked.versions is not None and before.version not in asked.versions:
        detail = f"it was changed meanwhile and is at version {before.version} now: read it again"
        return Rejection(412, Code.STALE_VERSION, detail, "version")
    after, shortfall = figures_after(before, asked.change)
    refusal = _refuse(before, after, shortfall, force=who.force)
    if refusal is not None:
        return refusal
    after = msgspec.structs.replace(after, backorder_limit=after.backorder_limit + shortfall)
    if after != before:
        _write(plan, asked, after, shortfall, who)
    return shortfall


def figures_after(before: StockFigures, wished: StockChange | StockRow) -> tuple[StockFigures, int]:
    """The figures a change leads to, and how many units they are short of what is reserved."""
    on_hand = before.on_hand + (wished.delta or 0) if wished.on_hand is None else wished.on_hand
    backorder = before.backorder_limit if wished.backorder_limit is None else wished.backorder_limit
    after = msgspec.structs.replace(before, on_hand=on_hand, backorder_limit=backorder)
    return after, max(0, -after.available)


def _refuse(before: StockFigures, after: StockFigures, shortfall: int, *, force: bool) -> Rejection | None:
    if shortfall and not force:
        detail = f"{before.reserved} units are reserved, {shortfall} more than would be there; force it to take them on"
        return Rejection(409, Code.STOCK_SHORT, detail)
    if abs(after.on_hand) > STOCK_CEILING or after.backorder_limit + shortfall > STOCK_CEILING:
        return Rejection(422, Code.QUANTITY_TOO_LARGE, f"at most {STOCK_CEILING} units")
    return None


def _write(plan: StockPlan, asked: Asked, after: StockFigures, shortfall: int, who: Who) -> None:
    """Note what a change comes to."""
    key = asked.key
    delta = after.on_hand - plan.figures[key].on_hand
    of = (key.variant_id, key.seller_id, key.location)
    facts = StockSet(*of, after.on_hand, delta, after.backorder_limit, who.cause, who.reason)
    told: list[tuple[str, Struct]] = [("stock.set", facts)]
    if shortfall:
        told.append(("stock.forced", StockForced(*of, after.reserved, shortfall, after.backorder_limit)))
        plan.forced.append((key, shortfall))
    if delta:
        kind = MovementKind(who.cause)
        plan.movements.append(Movement(asked.cause_id, kind, key, delta, 0, who.actor, who.reason))
    _note(plan, key, after, told, actor=who.actor, correlation=who.correlation)


def set_threshold(
    key: StockKey, before: StockFigures, threshold: int | None, *, actor: UUID, correlation: str
) -> StockPlan:
    """Set from how many units on a locked row counts as low; the same one again writes nothing."""
    plan = _new_plan({key: before})
    if threshold != before.threshold:
        after = msgspec.structs.replace(before, threshold=threshold)
        fact = ThresholdSet(key.variant_id, key.seller_id, key.location, threshold)
        _note(plan, key, after, [("stock.threshold_set", fact)], actor=actor, correlation=correlation)
    return plan


def _note(
    plan: StockPlan,
    key: StockKey,
    after: StockFigures,
    told: Sequence[tuple[str, Struct]],
    *,
    actor: UUID,
    correlation: str,
) -> None:
    """Take a row's new figures, and what is told of them."""
    before = plan.figures[key]
    events = events_of(key, before, after, told, actor=actor, correlation=correlation)
    plan.events.extend(events)
    plan.figures[key] = msgspec.structs.replace(after, version=before.version + 1, events=before.events + len(events))
    plan.changed.add(key)
