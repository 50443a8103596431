"""Arguments for what those who run it look at."""

from datetime import UTC, datetime
from typing import Any

from domain.operation import audit_sql, figure_reads, status_reads, tick_sql
from domain.operation import reads as operation_reads


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement."""
    a, f, o = audit_sql.__name__, figure_reads.__name__, operation_reads.__name__
    s, t = status_reads.__name__, tick_sql.__name__
    return {
        (a, "SAVE_CHECKS"): (["c"], [datetime.now(UTC)], [1], [True], [0], ["[]"]),
        (a, "FORGET_CHECKS"): (["c"],),
        (a, "LOAD_CHECKS"): (),
        (a, "ROUND_GOES_ON"): ("audit_checks",),
        (f, "ACTIVE_RESERVATIONS"): (1_000,),
        (f, "OPEN_PAYMENTS"): (1_000,),
        (o, "LOOK"): ("0",),
        (t, "NOTE_TICK"): ("rescue_runs", 1, 2.0, sample["ids"][0]),
        (t, "LOAD_TICKS"): (["rescue_runs"],),
        (s, "FAILURES"): (1_000, 9),
        (s, "WORKERS"): (600.0,),
        (s, "SERVER"): (),
    }
