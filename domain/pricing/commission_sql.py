"""Statements of commission rules: what placing needs of them, and their revisions.

Invariant: a rule's revisions follow each other by the versions of all rules, without a gap and without change: what
held at any version can be told for good. The last one is current, also of a rule that has ended. A rule is marked used
in the transaction that first freezes it into a line, on the revision that line was decided by.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.pricing.commission import CommissionRules
from domain.pricing.commission_edit import RuleWritten, StoredRule
from domain.pricing.commission_model import CommissionContent

PART = "commission"

# A rule that was changed since is left alone: another revision of it is current than the one that was decided by.
MARK_USED = """
UPDATE commission_rules r SET used = true
FROM (
    SELECT id, revision FROM commission_rules
    WHERE id = ANY ($1::uuid[]) AND to_version IS NULL AND from_version <= $2 AND NOT used
    ORDER BY id FOR NO KEY UPDATE
) AS t
WHERE r.id = t.id AND r.revision = t.revision
RETURNING r.id
"""

LOAD_USED = "SELECT id FROM commission_rules WHERE id = ANY ($1::uuid[]) AND to_version IS NULL AND used"

LOAD_RULES = """
SELECT id, revision, used, content::text AS content FROM commission_rules
WHERE id = ANY ($1::uuid[]) AND to_version IS NULL
"""

LOCK_RULES = """
SELECT count(*) FROM (
    SELECT FROM commission_rules WHERE id = ANY ($1::uuid[]) AND to_version IS NULL ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

CLOSE_REVISIONS = """
UPDATE commission_rules r SET to_version = t.version
FROM unnest($1::uuid[], $2::bigint[]) AS t (id, version) WHERE r.id = t.id AND r.to_version IS NULL
"""

INSERT_REVISIONS = """
INSERT INTO commission_rules (id, revision, content, used, from_version, created_at, created_by)
SELECT t.id, t.revision, t.content, t.used, t.version, $6, $7
FROM unnest($1::uuid[], $2::int[], $3::jsonb[], $4::bool[], $5::bigint[]) AS t (id, revision, content, used, version)
"""

_UNTIL = "coalesce((content ->> 'valid_until')::timestamptz, 'infinity')"

COUNT_OPEN = f"SELECT count(*) FROM commission_rules WHERE to_version IS NULL AND {_UNTIL} > $1"

# Those that could be chosen instead of one of the same priority: what names each dimension is compared in Python.
LOAD_OPEN_OF_PRIORITY = f"""
SELECT id, content::text AS content FROM commission_rules
WHERE to_version IS NULL AND {_UNTIL} > $1 AND coalesce((content ->> 'priority')::int, 0) = $2 AND id <> $3 ORDER BY id
"""

# What a rule may name: each is looked for by its place in its list.
LOAD_UNKNOWN = """
SELECT * FROM (
    SELECT 'products' AS dimension, n FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, n)
    WHERE NOT EXISTS (SELECT FROM products p WHERE p.id = t.id)
    UNION ALL SELECT 'sellers', n FROM unnest($2::uuid[]) WITH ORDINALITY AS t (id, n)
    WHERE NOT EXISTS (SELECT FROM sellers s WHERE s.id = t.id)
    UNION ALL SELECT 'categories', n FROM unnest($3::uuid[]) WITH ORDINALITY AS t (id, n)
    WHERE NOT EXISTS (SELECT FROM categories c WHERE c.id = t.id)
) AS unknown ORDER BY dimension, n LIMIT 1
"""


class Edit(Struct, frozen=True):
    """An edit of rules: the version of all rules from which on it holds, when, by whom, of which request."""

    version: int
    at: datetime
    actor: UUID
    correlation: str


_contents = msgspec.json.Decoder(CommissionContent)
_encode = msgspec.json.Encoder().encode


async def mark_used(conn: Connection, rules: CommissionRules, version: int, used: Collection[UUID]) -> bool:
    """Note that lines pay by rules as of a version; False when one of them was changed since.

    Those that are known to be noted cost nothing: they are never changed again.
    """
    unnoted = sorted(rule for rule in used if rule not in rules.noted)
    if not unnoted:
        return True
    marked = {row["id"] for row in await conn.fetch(MARK_USED, unnoted, version)}
    left = [rule for rule in unnoted if rule not in marked]
    if left:
        # In a statement of its own: it sees what was committed while the first one waited.
        found = {row["id"] for row in await conn.fetch(LOAD_USED, left)}
        rules.noted |= found
        return found.issuperset(left)
    return True


async def load_rules(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, StoredRule]:
    """Read rules as they stand; unknown ones are missing."""
    return {row["id"]: _stored(row) for row in await conn.fetch(LOAD_RULES, ids)}


async def lock_rules(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, StoredRule]:
    """Lock rules in id order and read them; whoever does has raised the version of all rules first."""
    await conn.execute(LOCK_RULES, ids)
    return await load_rules(conn, ids)


async def write_rules(conn: Connection, rules: Sequence[tuple[str, StoredRule]], edit: Edit) -> None:
    """Write rules' next revisions, each with the type of its event."""
    ids, versions = [rule.id for _, rule in rules], [edit.version] * len(rules)
    await conn.execute(CLOSE_REVISIONS, ids, versions)
    await conn.execute(
        INSERT_REVISIONS,
        ids,
        [rule.version for _, rule in rules],
        [_encode(rule.content).decode() for _, rule in rules],
        [rule.used for _, rule in rules],
        versions,
        edit.at,
        edit.actor,
    )
    await insert_events(
        conn,
        [Event(rule.id, rule.version, kind, _told(rule, edit), edit.actor, edit.correlation) for kind, rule in rules],
    )


def _told(rule: StoredRule, edit: Edit) -> str:
    return _encode(RuleWritten(edit.version, rule.used, rule.content)).decode()


async def count_open(conn: Connection, now: datetime) -> int:
    """How many rules haven't ended."""
    return int(await conn.fetchval(COUNT_OPEN, now))


async def load_open_of_priority(
    conn: Connection, priority: int, now: datetime, *, but: UUID
) -> list[tuple[UUID, CommissionContent]]:
    """The rules of a priority that haven't ended, other than one, by their ids."""
    rows = await conn.fetch(LOAD_OPEN_OF_PRIORITY, now, priority, but)
    return [(row["id"], _contents.decode(row["content"])) for row in rows]


async def load_unknown(conn: Connection, content: CommissionContent) -> tuple[str, int] | None:
    """The first thing a rule names that isn't there: which dimension, and its place there; None when all are."""
    scope = content.scope
    row = await conn.fetchrow(LOAD_UNKNOWN, scope.products, scope.sellers, scope.categories)
    return None if row is None else (row["dimension"], row["n"] - 1)


def _stored(row: Any) -> StoredRule:
    return StoredRule(row["id"], row["revision"], row["used"], _contents.decode(row["content"]))
