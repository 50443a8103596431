"""What those who run it look at, as Piccolo knows it; a test holds it against what the migrations make."""

from piccolo.columns import UUID, Array, BigInt, Boolean, DoublePrecision, Integer, Text, Timestamptz
from piccolo.table import Table


class AuditChecks(Table):
    """How each check of the audit stood when it was last run."""

    name = Text(primary_key=True, default=None)
    at = Timestamptz(default=None)
    took_ms = Integer(default=None)
    finished = Boolean(default=None)
    violations = BigInt(default=None)
    sample = Array(base_column=Text(), default=None)


class SweepTicks(Table):
    """The last tick of each sweep that a scheduler wrote."""

    job = Text(primary_key=True, default=None)
    slot = BigInt(default=None)
    period_seconds = DoublePrecision(default=None)
    command_id = UUID(default=None)
    at = Timestamptz()
