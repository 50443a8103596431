"""Statements of commission rules that placing and confirming need.

Invariant: a rule is marked used in the transaction that first freezes it into a line; from then on it is only ended.
"""

from collections.abc import Collection
from uuid import UUID

from domain.connection import Connection
from domain.pricing.commission import CommissionRules

MARK_USED = """
UPDATE commission_rules r SET used = true
FROM (
    SELECT id, revision FROM commission_rules
    WHERE id = ANY ($1::uuid[]) AND to_version IS NULL AND NOT used ORDER BY id FOR NO KEY UPDATE
) AS t
WHERE r.id = t.id AND r.revision = t.revision
"""


async def mark_used(conn: Connection, rules: CommissionRules, used: Collection[UUID]) -> None:
    """Note that lines pay by rules now; those that are known to be noted cost nothing."""
    unnoted = sorted(rule for rule in used if rule not in rules.noted)
    if unnoted:
        await conn.execute(MARK_USED, unnoted)
