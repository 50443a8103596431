"""What the database knows of how things stand, for those who watch: bounded, however much waits.

Invariant: counting stops at a limit, and nothing here looks at a table from end to end.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from domain.connection import Connection
from domain.journal.event_reads import SubscriptionFigures, load_subscriptions
from domain.journal.partitions import partition_days_left
from domain.operation.audit_sql import load_checks
from domain.operation.auditing import Checked
from domain.operation.reads import DEPTH_COUNTED_MAX, LaneView, load_lanes
from domain.operation.tick_sql import Tick, load_ticks

# By the partial index of what is held.
ACTIVE_RESERVATIONS = """
SELECT count(*) FROM (SELECT FROM reservations WHERE status = 'active' LIMIT $1) AS limited
"""

# By the partial index of what is open.
OPEN_PAYMENTS = """
SELECT s AS state, count(o.state) AS payments
FROM unnest(ARRAY['pending', 'action_required', 'authorized']) AS s
LEFT JOIN (
    SELECT state FROM payments WHERE state IN ('pending', 'action_required', 'authorized') LIMIT $1
) o ON o.state = s
GROUP BY s
"""


class Seen(Struct, frozen=True):
    """Lanes with their queues, days the journal has partitions for, holds that stand, open payments by state.

    And subscriptions, the last ticks of sweeps, and the checks of the audit.
    """

    lanes: list[LaneView]
    partition_days: int
    reservations: int
    payments: Mapping[str, int]
    subscriptions: list[SubscriptionFigures]
    sweeps: list[Tick]
    checks: list[Checked]


async def load_seen(conn: Connection, now: datetime) -> Seen:
    """Read all of it."""
    payments = await conn.fetch(OPEN_PAYMENTS, DEPTH_COUNTED_MAX)
    return Seen(
        lanes=await load_lanes(conn),
        partition_days=await partition_days_left(conn, now),
        reservations=await conn.fetchval(ACTIVE_RESERVATIONS, DEPTH_COUNTED_MAX),
        payments={row["state"]: row["payments"] for row in payments},
        subscriptions=await load_subscriptions(conn),
        sweeps=await load_ticks(conn),
        checks=await load_checks(conn),
    )
