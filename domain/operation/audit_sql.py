"""Where the audit's last results stand: one row for each check."""

from collections.abc import Collection, Sequence

from domain.connection import Connection
from domain.operation.auditing import AuditCheck, Checked

SAVE_CHECKS = """
INSERT INTO audit_checks AS a (name, at, took_ms, finished, violations, sample)
SELECT t.name, t.at, t.took_ms, t.finished, t.violations, ARRAY(SELECT json_array_elements_text(t.sample))
FROM unnest($1::text[], $2::timestamptz[], $3::integer[], $4::boolean[], $5::bigint[], $6::json[])
    AS t (name, at, took_ms, finished, violations, sample)
ORDER BY t.name
ON CONFLICT (name) DO UPDATE SET at = excluded.at, took_ms = excluded.took_ms, finished = excluded.finished,
    violations = excluded.violations, sample = excluded.sample
"""
FORGET_CHECKS = "DELETE FROM audit_checks WHERE name <> ALL ($1::text[])"
LOAD_CHECKS = "SELECT name, at, took_ms, finished, violations, sample FROM audit_checks ORDER BY name"
ROUND_GOES_ON = "SELECT EXISTS (SELECT FROM pending WHERE job = $1)"


async def save_checks(conn: Connection, checks: Sequence[tuple[Checked, str]]) -> None:
    """Write how checks stand, each once, with its sample as JSON."""
    if checks:
        rows = [(c.name, c.at, c.took_ms, c.finished, c.violations, sample) for c, sample in checks]
        await conn.execute(SAVE_CHECKS, *(list(column) for column in zip(*rows, strict=True)))


async def load_checks(conn: Connection) -> list[Checked]:
    """Read how all checks stand that have been run."""
    return [Checked(**dict(row)) for row in await conn.fetch(LOAD_CHECKS)]


async def forget_checks(conn: Connection, known: Collection[str]) -> None:
    """Drop what was told of checks that there aren't any more."""
    await conn.execute(FORGET_CHECKS, list(known))


async def goes_on(conn: Connection) -> bool:
    """Whether checks of an earlier round are still to be run."""
    return bool(await conn.fetchval(ROUND_GOES_ON, AuditCheck.job))
