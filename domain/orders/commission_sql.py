"""What commission snapshots are worked out from, and where they are kept.

Invariant: a line has one snapshot, by its key: written twice, the second is refused by the database.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.pricing.commission import ENDED_KEPT, CommissionRules, CommissionTerms, ConsideredRule
from domain.pricing.commission_model import CommissionContent
from domain.pricing.scope import Facts
from domain.pricing.snapshot import Snapshot
from domain.writing import Rows, write

LOAD_FROZEN_LINES = """
SELECT l.order_id, l.line_no, l.seller_id, l.variant_id, l.product_id, l.categories, l.quantity, l.commission_rule_id,
       l.commission_rate_bp, l.commission_fixed_minor, l.commission_minimum_minor, l.commission_maximum_minor,
       o.currency, o.placed_at, o.commission_version
FROM order_lines l JOIN orders o ON o.id = l.order_id
WHERE l.order_id = ANY ($1::uuid[]) ORDER BY l.order_id, l.line_no
"""

LOAD_SNAPSHOT_KEYS = "SELECT DISTINCT order_id FROM commission_snapshots WHERE order_id = ANY ($1::uuid[])"

LOAD_SNAPSHOTS = """
SELECT order_id, line_no, seller_id, rule_id, base_minor, amount_minor, currency, considered::text AS considered
FROM commission_snapshots WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, line_no
"""

LOAD_RULES_AT = """
SELECT t.version, r.id, r.content::text AS content
FROM unnest($1::bigint[], $2::timestamptz[]) AS t (version, first)
JOIN commission_rules r ON r.from_version <= t.version AND (r.to_version IS NULL OR r.to_version > t.version)
WHERE coalesce((r.content ->> 'valid_until')::timestamptz, 'infinity') > t.first - $3::interval
"""

SNAPSHOT_COLUMNS = (
    ("order_id", "uuid"),
    ("line_no", "smallint"),
    ("seller_id", "uuid"),
    ("rule_id", "uuid"),
    ("base_minor", "bigint"),
    ("amount_minor", "bigint"),
    ("currency", "text"),
    ("considered", "jsonb"),
)

_considered = msgspec.json.Decoder(tuple[ConsideredRule, ...])
_rules = msgspec.json.Decoder(CommissionContent)


class FrozenLine(Struct, frozen=True):
    """A line as placing froze it, as far as its commission goes."""

    order_id: UUID
    line_no: int
    facts: Facts
    quantity: int
    rule_id: UUID | None
    terms: CommissionTerms
    currency: str
    placed_at: datetime
    version: int


async def load_frozen_lines(conn: Connection, orders: Sequence[UUID]) -> list[FrozenLine]:
    """Read the lines of orders."""
    return [_line(row) for row in await conn.fetch(LOAD_FROZEN_LINES, orders)]


def _line(row: Any) -> FrozenLine:
    return FrozenLine(
        order_id=row["order_id"],
        line_no=row["line_no"],
        # Lines that were placed before there was any commission have no product: no rule is looked for then.
        facts=Facts(
            row["product_id"] or row["variant_id"], row["variant_id"], row["seller_id"], tuple(row["categories"])
        ),
        quantity=row["quantity"],
        rule_id=row["commission_rule_id"],
        terms=CommissionTerms(
            row["commission_rate_bp"],
            row["commission_fixed_minor"],
            row["commission_minimum_minor"],
            row["commission_maximum_minor"],
        ),
        currency=row["currency"],
        placed_at=row["placed_at"],
        version=row["commission_version"],
    )


async def load_snapshotted(conn: Connection, orders: Sequence[UUID]) -> set[UUID]:
    """Which of some orders have their snapshots."""
    return {row["order_id"] for row in await conn.fetch(LOAD_SNAPSHOT_KEYS, orders)}


async def load_snapshots(conn: Connection, orders: Sequence[UUID]) -> list[Snapshot]:
    """Read the snapshots of orders, by order and line."""
    rows = await conn.fetch(LOAD_SNAPSHOTS, orders)
    return [Snapshot(**{**dict(row), "considered": _considered.decode(row["considered"])}) for row in rows]


async def load_rules_at(conn: Connection, lines: Iterable[FrozenLine]) -> Mapping[int, CommissionRules]:
    """The commission rules as they were when lines were placed, by version."""
    first: dict[int, datetime] = {}
    for line in lines:
        first[line.version] = min(line.placed_at, first.get(line.version, line.placed_at))
    found: dict[int, list[Any]] = {version: [] for version in first}
    for row in await conn.fetch(LOAD_RULES_AT, list(first), list(first.values()), ENDED_KEPT):
        found[row["version"]].append(_rules.decode(row["content"]).rule(row["id"]))
    return {version: CommissionRules(rules) for version, rules in found.items()}


async def insert_snapshots(conn: Connection, snapshots: Sequence[Snapshot]) -> None:
    """Write snapshots; one that is there already is a unique violation."""
    records = [
        (
            each.order_id,
            each.line_no,
            each.seller_id,
            each.rule_id,
            each.base_minor,
            each.amount_minor,
            each.currency,
            msgspec.json.encode(each.considered).decode(),
        )
        for each in snapshots
    ]
    await write(conn, Rows("commission_snapshots", SNAPSHOT_COLUMNS, records))
