"""What must hold after every load, however fast it was: nothing lost, nothing oversold, nothing left over.

Each check returns sentences; an empty list is the only good answer.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.invariants import run_audit
from domain.orders.model import PlaceOrder

SETTLE_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.02

WITHOUT_OUTCOME = """
SELECT count(*) FROM unnest($1::uuid[]) AS t (id) WHERE NOT EXISTS (SELECT FROM outcomes o WHERE o.id = t.id)
"""

# Units sold beyond those received, counted from the lines and the movements, not from the figures the orders changed.
OVERSOLD = """
SELECT coalesce(sum(greatest(s.units - coalesce(r.units, 0), 0)), 0)
FROM (SELECT variant_id, seller_id, sum(quantity) AS units FROM order_lines GROUP BY 1, 2) s
LEFT JOIN (
    SELECT variant_id, seller_id, sum(on_hand_delta) AS units FROM movements
    WHERE on_hand_delta <> 0 AND kind <> 'sold' GROUP BY 1, 2
) r USING (variant_id, seller_id)
"""

DOUBLES = """
SELECT count(*)
FROM (SELECT FROM idempotency WHERE command_id IS NOT NULL GROUP BY command_id HAVING count(*) > 1) AS doubled
"""

STATUSES = """
SELECT o.status, count(*) FROM outcomes o JOIN commands c ON c.id = o.id WHERE c.job = $1 GROUP BY 1
"""


async def settle(conn: Any, jobs: Sequence[str] = (PlaceOrder.job,)) -> list[str]:
    """Wait until nothing of some jobs is queued any more."""
    give_up_at = time.perf_counter() + SETTLE_SECONDS_MAX
    while left := await conn.fetchval("SELECT count(*) FROM pending WHERE job = ANY ($1)", list(jobs)):
        if time.perf_counter() > give_up_at:
            return [f"{left} commands have no outcome {SETTLE_SECONDS_MAX:g} s after the load ended"]
        await asyncio.sleep(LOOK_SECONDS)
    return []


async def count_outcomes(conn: Any) -> dict[str, int]:
    """How many placements ended in each status."""
    return {row["status"]: row["count"] for row in await conn.fetch(STATUSES, PlaceOrder.job)}


async def problems(
    conn: Any,
    accepted: Sequence[bytes],
    *,
    jobs: Sequence[str] = (PlaceOrder.job,),
    refusals_expected: bool = False,
    orders_before: int = 0,
) -> list[str]:
    """Hold the database against what clients were told; ``accepted`` are ids of jobs, as text.

    ``orders_before`` were there before anybody was told anything.
    """
    found = await settle(conn, jobs)
    lost = await conn.fetchval(WITHOUT_OUTCOME, [UUID(text.decode()) for text in accepted])
    if lost:
        found.append(f"{lost} accepted commands have no outcome")
    parked = await conn.fetchval("SELECT count(*) FROM parked")
    if parked:
        found.append(f"{parked} commands failed and are parked")
    oversold = await conn.fetchval(OVERSOLD)
    if oversold:
        found.append(f"{oversold} units oversold")
    doubles = await conn.fetchval(DOUBLES)
    if doubles:
        found.append(f"{doubles} commands stand under two idempotency keys")
    outcomes = await count_outcomes(conn)
    orders = await conn.fetchval("SELECT count(*) FROM orders") - orders_before
    if orders != outcomes.get("succeeded", 0):
        found.append(f"{outcomes.get('succeeded', 0)} placements succeeded, but there are {orders} orders")
    if outcomes.get("rejected", 0) and not refusals_expected:
        found.append(f"{outcomes['rejected']} orders were refused though there was plenty of stock")
    audit = await run_audit(conn)
    found += [f"{check.violations} violations of {check.name}" for check in audit.checks if check.violations]
    return found
