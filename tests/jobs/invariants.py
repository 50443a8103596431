"""What must hold whatever happened: the audit's own checks, and that events tell what the tables hold."""

from typing import Any

from domain.invariants import run_audit
from tests.jobs.told import differences


async def violations(conn: Any) -> dict[str, list[str]]:
    """The invariants that don't hold, with a sample of what violates them."""
    audit = await run_audit(conn)
    assert audit.checks
    broken = {check.name: check.sample for check in audit.checks if check.violations}
    return broken | await differences(conn)
