"""What must hold whatever happened: the audit's own checks, and that events tell what the tables hold.

The checks go in one statement, since most tests ask for all of them.
"""

from typing import Any
from uuid import UUID

from domain.invariants import _COUNT, _LAST_ID, INVARIANTS, SAMPLE_MAX
from tests.jobs.told import differences

_ALL = " UNION ALL ".join(
    f"SELECT '{name}' AS name, violations, sample FROM ({_COUNT.format(query=query, sample=SAMPLE_MAX)}) AS c{n}"
    for n, (name, query) in enumerate(INVARIANTS.items())
)


async def violations(conn: Any) -> dict[str, list[str]]:
    """The invariants that don't hold, with a sample of what violates them."""
    checks = await conn.fetch(_ALL, UUID(int=0), _LAST_ID)
    assert [check["name"] for check in checks] == list(INVARIANTS)
    broken = {check["name"]: check["sample"] for check in checks if check["violations"]}
    return broken | await differences(conn)
