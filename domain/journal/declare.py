"""``@batch``, ``@effect`` and ``@subscription``: how a job, or what listens to events, says what it is.

They only declare. The worker runs what is declared here; the api knows a job by its name. Both look at
commands, so importing a job never imports the machinery that runs it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.events import StoredEvent
from domain.journal.model import (
    SYSTEM,
    BatchOutcome,
    Claimed,
    Command,
    EffectOutcome,
    Faulted,
    Lane,
    NewCommand,
    Prepared,
)
from domain.journal.tally import Tallies, Tally
from domain.limits import Limits

C = TypeVar("C", bound=Command)
O = TypeVar("O")  # noqa: E741 - the outcome of a decision
_encode = msgspec.json.Encoder().encode


class LockFirst(Exception):  # noqa: N818 - a request to the engine, not an error
    """Raised by a job whose hot rows are short or tight: start again, locking them before deciding."""


class Following:
    """A transaction in which commands are written that follow from it."""

    def __init__(self, new_id: Callable[[], UUID]) -> None:
        self.new_id = new_id
        self.follow_ups: list[NewCommand] = []
        self.traces: dict[str, str] = {}
        """By correlation id, the trace that what follows belongs to."""

    def follow_up(
        self, command: Command, correlation: str, *, principal: UUID = SYSTEM, delay_seconds: float = 0.0
    ) -> None:
        """Have another command written to the journal in this same transaction, and its bell rung after."""
        new = NewCommand(
            id=self.new_id(),
            principal=principal,
            command=command,
            payload=_encode(command).decode(),
            correlation=correlation,
            delay_seconds=delay_seconds,
            trace=self.traces.get(correlation),
        )
        self.follow_ups.append(new)


class Batch(Following, Generic[C]):
    """What one transaction of a job works on.

    ``lock_first`` is False on the first try, when hot rows are locked last; a job that raises
    :class:`LockFirst` is called again after a rollback to the savepoint with it set. ``held`` is the job's own memory
    in this process, from batch to batch: for what it can tell is still as it was.
    """

    def __init__(
        self,
        conn: Connection,
        commands: Sequence[Claimed[C]],
        *,
        now: datetime,
        limits: Limits,
        lock_first: bool,
        new_id: Callable[[], UUID],
        held: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(new_id)
        self.conn = conn
        self.commands = commands
        self.now = now
        self.limits = limits
        self.lock_first = lock_first
        self.held = {} if held is None else held
        self.tallies: Tallies = {}
        self.traces = {claimed.correlation: claimed.trace for claimed in commands if claimed.trace is not None}

    @property
    def ids(self) -> list[UUID]:
        """The ids of its commands."""
        return [claimed.id for claimed in self.commands]

    def tally(self, what: Tally, label: str, amount: int = 1) -> None:
        """Have something counted once this transaction has committed."""
        self.tallies[what, label] = self.tallies.get((what, label), 0) + amount


class EventBatch(Following):
    """What one transaction of a subscription works on: the next events of its types, in the order they are read."""

    def __init__(
        self,
        conn: Connection,
        events: Sequence[StoredEvent],
        *,
        now: datetime,
        limits: Limits,
        new_id: Callable[[], UUID],
    ) -> None:
        super().__init__(new_id)
        self.conn = conn
        self.events = events
        self.now = now
        self.limits = limits


class Attempt(Generic[C]):
    """What one try of an effect works on.

    ``waited_seconds`` is how long ago the first try with its idempotency key was. ``given`` is what its preparation
    came to.
    """

    def __init__(
        self,
        claimed: Claimed[C],
        *,
        generation: int,
        waited_seconds: float,
        deadline_seconds: float,
        given: Any = None,
    ) -> None:
        self.claimed = claimed
        self.given = given
        self.command = claimed.command
        self.generation = generation
        self.waited_seconds = waited_seconds
        self.deadline_seconds = deadline_seconds

    def is_past(self, key_window_seconds: float) -> bool:
        """Whether an earlier try's answer is unknown and a provider may have forgotten its idempotency key since: it is
        asked what happened before anything is done again.
        """
        return self.waited_seconds > key_window_seconds

    def idempotency_key(self, step: str) -> str:
        """The provider's idempotency key of a step: the same on every retry until a definite answer."""
        return f"{self.claimed.id}:{step}:{self.generation}"


BatchFunction = Callable[[Batch[Any]], Awaitable[Sequence[BatchOutcome]]]
EffectFunction = Callable[[Attempt[Any]], Awaitable[EffectOutcome]]
PrepareFunction = Callable[[Batch[Any]], Awaitable[Sequence[Prepared]]]
SettleFunction = Callable[[Batch[Any], Mapping[UUID, Any]], Awaitable[Sequence[BatchOutcome]]]
SubscriptionFunction = Callable[[EventBatch], Awaitable[None]]


class BatchJob(Struct, frozen=True):
    """A job whose commands run many at a time inside one transaction."""

    command: type[Command]
    run: BatchFunction
    commands_max: int
    rows_max: int

    @property
    def name(self) -> str:
        """The job's name: its actor, its queue rows and its metrics carry it."""
        return self.command.job

    @property
    def lane(self) -> Lane:
        """The Dramatiq queue its bell rings in."""
        return self.command.lane


class EffectJob(Struct, frozen=True):
    """A job that acts on the outside world: leased, run outside any transaction, recorded once.

    ``prepare`` runs in the transaction that leases: it says for each command whether it may be tried, and writes down
    that it is about to be. It runs again for each further try, and finds what it wrote. ``settle`` runs in the
    transaction that records, with the answers by command: what they mean and that they came is written together.
    """

    command: type[Command]
    run: EffectFunction
    lease_seconds: float
    attempts_max: int
    concurrency: int
    prepare: PrepareFunction | None = None
    settle: SettleFunction | None = None

    @property
    def name(self) -> str:
        """The job's name: its actor, its queue rows and its metrics carry it."""
        return self.command.job

    @property
    def lane(self) -> Lane:
        """The Dramatiq queue its bell rings in."""
        return self.command.lane

    @property
    def deadline_seconds(self) -> float:
        """How long one try may take: under half the lease, so that its record always finds the lease held."""
        return self.lease_seconds * 0.45


class Subscription(Struct, frozen=True):
    """Something that hears of every event of some types once: in the transaction that notes that it has.

    ``types`` is None for all. One that is new begins with the first event there is, or, with ``from_now``, with those
    that come. An event it can't take is noted in ``subscription_failures`` and passed over. When it has read all there
    is, it is left alone for ``gather_seconds``: what sums up costs less for many events at a time.
    """

    name: str
    run: SubscriptionFunction
    types: frozenset[str] | None
    events_max: int
    from_now: bool
    gather_seconds: float = 0.0


Job = BatchJob | EffectJob
_registry: dict[str, Job] = {}
_subscriptions: dict[str, Subscription] = {}


def _register(job: Job) -> None:
    known = _registry.get(job.name)
    if known is not None and known.run.__qualname__ != job.run.__qualname__:
        raise ValueError(f"two jobs are named {job.name}: {known.run.__qualname__} and {job.run.__qualname__}")
    _registry[job.name] = job


def batch(
    command: type[C], *, commands_max: int = 500, rows_max: int = 10_000
) -> Callable[[Callable[[Batch[C]], Awaitable[Sequence[BatchOutcome]]]], BatchJob]:
    """Declare a job that claims, runs and finishes up to ``commands_max`` commands in one transaction.

    The function returns one outcome per command, in the order of ``batch.commands``.
    """

    def declare(function: Callable[[Batch[C]], Awaitable[Sequence[BatchOutcome]]]) -> BatchJob:
        job = BatchJob(command=command, run=function, commands_max=commands_max, rows_max=rows_max)
        _register(job)
        return job

    return declare


def effect(
    command: type[C],
    *,
    lease_seconds: float = 60.0,
    attempts_max: int = 10,
    concurrency: int = 32,
    prepare: PrepareFunction | None = None,
    settle: SettleFunction | None = None,
) -> Callable[[Callable[[Attempt[C]], Awaitable[EffectOutcome]]], EffectJob]:
    """Declare a job that acts on the outside world under a lease, with a deadline under half of it.

    For ``prepare`` and ``settle`` see :class:`EffectJob`; one that settles returns Answered.
    """

    def declare(function: Callable[[Attempt[C]], Awaitable[EffectOutcome]]) -> EffectJob:
        job = EffectJob(
            command=command,
            run=function,
            lease_seconds=lease_seconds,
            attempts_max=attempts_max,
            concurrency=concurrency,
            prepare=prepare,
            settle=settle,
        )
        _register(job)
        return job

    return declare


def subscription(
    name: str,
    types: Iterable[str] | None,
    *,
    events_max: int = 1_000,
    from_now: bool = False,
    gather_seconds: float = 0.0,
) -> Callable[[SubscriptionFunction], Subscription]:
    """Declare what is to hear of events; see :class:`Subscription`.

    The function may write rows and have commands follow. It is called with up to ``events_max`` events, and again with
    fewer of them when it raises.
    """

    def declare(function: SubscriptionFunction) -> Subscription:
        wanted = None if types is None else frozenset(types)
        declared = Subscription(
            name=name,
            run=function,
            types=wanted,
            events_max=events_max,
            from_now=from_now,
            gather_seconds=gather_seconds,
        )
        known = _subscriptions.setdefault(name, declared)
        if known.run.__qualname__ != function.__qualname__:
            raise ValueError(f"two subscriptions are named {name}: {known.run.__qualname__}, {function.__qualname__}")
        return declared

    return declare


def subscribed() -> dict[str, Subscription]:
    """Every declared subscription by name. Complete once ``jobs`` has been imported."""
    return dict(_subscriptions)


def registered() -> dict[str, Job]:
    """Every declared job by name. Complete once ``jobs`` has been imported."""
    return dict(_registry)


def decide_each(commands: Sequence[Claimed[C]], decide: Callable[[Claimed[C]], O]) -> list[O | Faulted]:
    """Decide commands one after the other; one whose decision raises is parked alone.

    ``decide`` must change its state only after everything that can raise has been worked out.
    """
    return [_guarded(claimed, decide) for claimed in commands]


def _guarded(claimed: Claimed[C], decide: Callable[[Claimed[C]], O]) -> O | Faulted:
    try:
        return decide(claimed)
    except Exception as error:  # noqa: BLE001 - whatever a decision raises parks its own command, with the error
        return Faulted(error=f"{type(error).__name__}: {error}"[:2000], cause=error)
