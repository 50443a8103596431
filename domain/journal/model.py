"""What a command is, and what can become of it.

Invariant: every accepted command ends in exactly one of: an outcome (succeeded, rejected, cancelled), or
parked (shown as failed) until an operator sends it back to the queue. The journal is the truth; messages
are only doorbells.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from domain.rejections import Rejection

SYSTEM = UUID(int=0)
"""The principal of commands that nobody asked for: ticks of the scheduler and follow-up work."""


class Lane(StrEnum):
    """A Dramatiq queue that several jobs share: what an operator scales and pauses."""

    ORDERS = "orders"
    STOCK = "stock"
    PRICING = "pricing"
    IO = "io"
    PAYOUTS = "payouts"
    SWEEPS = "sweeps"


class Status(StrEnum):
    """Where a job stands, as clients see it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self not in {Status.QUEUED, Status.RUNNING}


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """A request that is written down before it is carried out: the wire type and the decision's input.

    Subclasses name their job and lane. ``ordered`` says that its commands wait for earlier unfinished ones
    of the same aggregate.
    """

    job: ClassVar[str]
    lane: ClassVar[Lane]
    ordered: ClassVar[bool] = False

    def weight(self) -> int:
        """How many rows carrying it out writes, roughly: what limits a batch."""
        return 1

    def aggregate(self) -> UUID | None:
        """The thing the command is about; None when the command itself brings the thing into being."""
        return None


C = TypeVar("C", bound=Command)


class Claimed(Struct, Generic[C], frozen=True):
    """A command a worker holds: who asked, when, under which correlation id and trace, how often it was tried."""

    id: UUID
    principal: UUID
    attempts: int
    correlation: str
    created_at: datetime
    command: C
    trace: str | None = None


class Succeeded(Struct, frozen=True):
    """Carried out. ``result`` is what ``GET /jobs/{id}`` shows; a Struct, encoded as JSON."""

    result: Any = None


class Rejected(Struct, frozen=True):
    """Refused by a rule: an ordinary outcome that fails nothing else."""

    problem: Rejection


class Faulted(Struct, frozen=True):
    """The decision itself raised: the command is parked alone, for a person to look at."""

    error: str
    cause: Exception | None = None
    """What was raised, with its traceback, for those who are told."""


class Deferred(Struct, frozen=True):
    """Not yet: something it waits for is unfinished. Costs no attempt."""

    seconds: float = 0.05


class TryAgain(Struct, frozen=True):
    """An effect's transient failure. ``definite`` says the provider answered, so a new key may be used."""

    error: str
    definite: bool = False
    after_seconds: float | None = None


class PutOff(Struct, frozen=True):
    """An effect wasn't tried: what it acts on is out of reach for a while. Costs no attempt."""

    error: str
    after_seconds: float


class Ready(Struct, frozen=True):
    """Prepared: an effect may be tried; ``given`` is what the try works with."""

    given: Any = None


class Answered(Struct, frozen=True):
    """An effect was tried and got an answer, which is now settled."""

    answer: Any


BatchOutcome = Succeeded | Rejected | Faulted | Deferred
Prepared = Ready | BatchOutcome
EffectOutcome = Succeeded | Rejected | TryAgain | PutOff | Answered


class NewCommand(Struct, frozen=True):
    """A command about to be written to the journal.

    ``key_hash`` and ``fingerprint`` are None without an Idempotency-Key. ``delay_seconds`` puts its first
    run into the future. ``trace`` is the ``traceparent`` of the request it comes of, if that had one.
    """

    id: UUID
    principal: UUID
    command: Command
    payload: str
    correlation: str = ""
    key_hash: bytes | None = None
    fingerprint: bytes | None = None
    delay_seconds: float = 0.0
    trace: str | None = None


class Cause(Struct, frozen=True):
    """Whose doing a change is: the command's, asked for by ``actor``, under a correlation id."""

    command_id: UUID
    correlation: str
    actor: UUID = SYSTEM


class Event(Struct, frozen=True):
    """A fact about one aggregate, appended in the transaction that makes it true. ``data`` is JSON."""

    stream: UUID
    version: int
    type: str
    data: str
    actor: UUID
    correlation: str
