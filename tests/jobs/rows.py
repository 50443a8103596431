"""What the tables hold after jobs have run, told so that two runs can be compared."""

from typing import Any

from tests.engine.parts import Rig

# Bookkeeping of the engine itself, and what says when something was seen rather than what is so.
_ENGINE = {"runs", "workers", "migration", "written"}
_VOLATILE = {"at", "created_at", "finished_at", "parked_at", "heartbeat_at", "run_at", "xid", "position"}


async def contents(conn: Any, *, but: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """Every row of every table, without the engine's own bookkeeping and times."""
    tables = await conn.fetch(
        "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    found = {}
    for (table,) in tables:
        if table not in _ENGINE | but:
            rows = await conn.fetch(f"SELECT to_jsonb(t) - $1::text[] FROM {table} t", sorted(_VOLATILE))
            found[table] = sorted(row[0] for row in rows)
    return found


async def results(rig: Rig, ids: list[Any]) -> list[tuple[str, str | None]]:
    """How commands ended: status and the problem's code."""
    codes = await rig.conn.fetch(
        "SELECT problem ->> 'code' AS code FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, n)"
        " LEFT JOIN outcomes o ON o.id = t.id ORDER BY n",
        ids,
    )
    return list(zip(await rig.statuses(ids), [row["code"] for row in codes], strict=True))
