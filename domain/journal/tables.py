"""The journal's tables, as Piccolo knows them; a test holds them against what the migrations make.

Piccolo has no composite keys: where a key has several columns, the first one is marked.
"""

from piccolo.columns import (
    JSON,
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    Bytea,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
)
from piccolo.columns.base import Column
from piccolo.table import Table


class Xid8(Column):
    """A transaction's number that never wraps around."""

    value_type = int

    @property
    def column_type(self) -> str:
        """The type's name in PostgreSQL."""
        return "XID8"


class Commands(Table):
    """Every accepted command, append-only; partitioned by day of id."""

    id = UUID(primary_key=True, default=None)
    job = Text(default=None)
    principal = UUID(default=None)
    aggregate = UUID(null=True, default=None)
    payload = JSON(default=None)
    correlation = Text(default="")
    created_at = Timestamptz()
    trace = Text(null=True, default=None)


class Outcomes(Table):
    """How commands ended; partitioned by day of id."""

    id = UUID(primary_key=True, default=None)
    status = Text(default=None)
    attempts = SmallInt(default=0)
    result = JSON(null=True, default=None)
    problem = JSON(null=True, default=None)
    finished_at = Timestamptz()


class Pending(Table):
    """The queue: commands without an outcome that aren't parked."""

    id = UUID(primary_key=True, default=None)
    job = Text(default=None)
    run_at = Timestamptz()
    aggregate = UUID(null=True, default=None)
    weight = SmallInt(default=1)
    attempts = SmallInt(default=0)
    generation = SmallInt(default=0)
    first_tried_at = Timestamptz(null=True, default=None)
    lease = UUID(null=True, default=None)
    solo = Boolean(default=False)
    error = Text(null=True, default=None)


class Parked(Table):
    """Commands that could not run, until an operator's retry."""

    id = UUID(primary_key=True, default=None)
    job = Text(default=None)
    attempts = SmallInt(default=None)
    generation = SmallInt(default=0)
    first_tried_at = Timestamptz(null=True, default=None)
    error = Text(default=None)
    parked_at = Timestamptz()


class Idempotency(Table):
    """Which command an Idempotency-Key of a principal belongs to, or the answer it was given, sealed."""

    principal = UUID(primary_key=True, default=None)
    key_hash = Bytea(default=None)
    command_id = UUID(null=True, default=None)
    fingerprint = Bytea(default=None)
    created_at = Timestamptz()
    answer = Bytea(null=True, default=None)


class PausedLanes(Table):
    """Lanes no worker claims from."""

    lane = Text(primary_key=True, default=None)
    paused_by = UUID(default=None)
    paused_at = Timestamptz()


class Workers(Table):
    """Worker processes and when they last beat."""

    id = UUID(primary_key=True, default=None)
    name = Text(default=None)
    lanes = Array(base_column=Text(), default=None)
    started_at = Timestamptz()
    heartbeat_at = Timestamptz()
    version = Text(default="")


class Runs(Table):
    """What each worker has in hand."""

    worker = UUID(primary_key=True, default=None)
    job = Text(default=None)
    xid = Xid8()
    ids = Array(base_column=UUID(), default=None)
    noted_at = Timestamptz()


class Events(Table):
    """What happened, per stream, append-only."""

    stream = UUID(primary_key=True, default=None)
    version = Integer(default=None)
    type = Text(default=None)
    data = JSONB(default=None)
    actor = UUID(default=None)
    correlation = Text(default="")
    at = Timestamptz()
    position = BigInt(default=None)
    xid = Xid8()


class Subscriptions(Table):
    """How far each subscription has read the events."""

    name = Text(primary_key=True, default=None)
    xid = Xid8()
    position = BigInt(default=None)
    updated_at = Timestamptz()


class SubscriptionFailures(Table):
    """Events that a subscription could not take."""

    name = Text(primary_key=True, default=None)
    stream = UUID(default=None)
    version = Integer(default=None)
    position = BigInt(default=None)
    error = Text(default=None)
    at = Timestamptz()
