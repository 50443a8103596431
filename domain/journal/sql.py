"""The statements of the journal: accept, claim, finish, put back.

Invariant: a command's pending row is deleted in the same transaction that writes its outcome or parks it.
Statements take sets and are shaped so that their cost stays flat: no loop sends a query per command.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.connection import Connection
from domain.journal.model import Event, NewCommand
from domain.writing import Rows, write

# Keys are taken in the order (principal, key), so that two api processes never wait for each other in a
# circle. The pending row hangs on the command's row: repeating the statement after a lost connection can't
# bring a finished command back into the queue.
INSERT_COMMANDS = """
WITH input AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::json[], $6::text[], $7::smallint[], $8::float8[],
        $9::bytea[], $10::bytea[], $11::text[]
    ) AS t (id, principal, job, aggregate, payload, correlation, weight, delay, key_hash, fingerprint, trace)
), keyed AS (
    INSERT INTO idempotency (principal, key_hash, command_id, fingerprint)
    SELECT principal, key_hash, id, fingerprint FROM input WHERE key_hash IS NOT NULL
    ORDER BY principal, key_hash
    ON CONFLICT DO NOTHING RETURNING command_id
), written AS (
    INSERT INTO commands (id, principal, job, aggregate, payload, correlation, trace)
    SELECT id, principal, job, aggregate, payload, correlation, trace FROM input
    WHERE key_hash IS NULL OR id IN (SELECT command_id FROM keyed)
    ON CONFLICT DO NOTHING RETURNING id
), queued AS (
    INSERT INTO pending (id, job, run_at, aggregate, weight)
    SELECT i.id, i.job, now() + make_interval(secs => i.delay), i.aggregate, i.weight
    FROM input i JOIN written w ON w.id = i.id
)
SELECT id FROM written
"""

LOAD_KEYS = """
SELECT k.principal, k.key_hash, k.command_id, k.fingerprint
FROM unnest($1::uuid[], $2::bytea[]) AS t (principal, key_hash)
JOIN idempotency k ON k.principal = t.principal AND k.key_hash = t.key_hash
"""

# One index scan from the cursor, rows others hold are skipped, and what doesn't fit the weight stays. The
# cursor spares the walk over entries already deleted, which an old snapshot elsewhere keeps alive.
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id, run_at, weight FROM pending
    WHERE job = $1 AND NOT solo AND run_at <= now() AND run_at >= $2
      AND NOT EXISTS (SELECT FROM paused_lanes WHERE lane = $5)
    ORDER BY run_at, id LIMIT $3
    FOR UPDATE SKIP LOCKED
), fits AS (
    SELECT id, run_at, sum(weight) OVER (ORDER BY run_at, id) - weight AS before FROM due
)
DELETE FROM pending p USING fits f WHERE p.id = f.id AND f.before < $4
RETURNING p.id, p.run_at, p.attempts, pg_current_xact_id() AS xid
"""

# Commands of one aggregate: a row is taken only when every earlier unfinished command of its aggregate is
# taken with it. The others are put off a little, longer the longer they have waited; that costs no attempt.
CLAIM_ORDERED = """
WITH due AS MATERIALIZED (
    SELECT id, run_at, weight, aggregate FROM pending
    WHERE job = $1 AND NOT solo AND run_at <= now() AND run_at >= $2
      AND NOT EXISTS (SELECT FROM paused_lanes WHERE lane = $5)
    ORDER BY run_at, id LIMIT $3
    FOR UPDATE SKIP LOCKED
), fits AS MATERIALIZED (
    SELECT id, aggregate, sum(weight) OVER (ORDER BY run_at, id) - weight < $4 AS fits FROM due
), blocked AS MATERIALIZED (
    SELECT f.id FROM fits f
    WHERE f.aggregate IS NOT NULL AND (
        EXISTS (SELECT FROM pending e WHERE e.id = f.aggregate)
        OR EXISTS (
            SELECT FROM pending e WHERE e.aggregate = f.aggregate AND e.id < f.id
              AND NOT EXISTS (SELECT FROM fits o WHERE o.id = e.id AND o.fits)
        )
    )
), deferred AS (
    UPDATE pending p SET run_at = now() + least(
        interval '1 second',
        greatest(interval '10 milliseconds', (now() - uuid_extract_timestamp(p.id)) / 4)
    )
    FROM blocked b WHERE p.id = b.id
)
DELETE FROM pending p USING fits f
WHERE p.id = f.id AND f.fits AND f.id NOT IN (SELECT id FROM blocked)
RETURNING p.id, p.run_at, p.attempts, pg_current_xact_id() AS xid
"""

# A command that may have killed its process, or failed with its batch again and again, runs alone.
# OFFSET 0 keeps the planner from making joins of the conditions: it would join and sort all that is due for one row.
CLAIM_SOLO = """
DELETE FROM pending WHERE id = (
    SELECT id FROM pending p
    WHERE job = $1 AND solo AND run_at <= now()
      AND NOT EXISTS (SELECT FROM paused_lanes WHERE lane = $2)
      AND NOT EXISTS (SELECT FROM pending e WHERE e.id = p.aggregate OFFSET 0)
      AND NOT EXISTS (SELECT FROM pending e WHERE e.aggregate = p.aggregate AND e.id < p.id OFFSET 0)
    ORDER BY run_at, id LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, run_at, attempts, pg_current_xact_id() AS xid
"""

# The bounds let the planner leave out every partition but one or two.
LOAD_CLAIMED = """
SELECT c.id, c.principal, c.payload, c.correlation, c.trace, c.created_at, o.id IS NOT NULL AS finished
FROM unnest($1::uuid[]) AS t (id)
JOIN commands c ON c.id = t.id AND c.id BETWEEN $2 AND $3
LEFT JOIN outcomes o ON o.id = t.id AND o.id BETWEEN $2 AND $3
ORDER BY c.id
"""

# The lease is also the row's next run: when its holder dies, the row comes due again by itself. One that is prepared
# has begun ($6): what it is about is marked, so nobody has to wait for its end.
CLAIM_EFFECTS = """
WITH due AS MATERIALIZED (
    SELECT id FROM pending p
    WHERE job = $1 AND run_at <= now()
      AND NOT EXISTS (SELECT FROM paused_lanes WHERE lane = $4)
      AND NOT EXISTS (SELECT FROM pending e WHERE e.id = p.aggregate OFFSET 0)
      AND NOT EXISTS (SELECT FROM pending e WHERE e.aggregate = p.aggregate AND e.id < p.id OFFSET 0)
    ORDER BY run_at, id LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE pending p
SET lease = $5, run_at = now() + make_interval(secs => $3), attempts = p.attempts + 1,
    first_tried_at = coalesce(p.first_tried_at, now()), aggregate = CASE WHEN $6 THEN NULL ELSE p.aggregate END
FROM due d WHERE p.id = d.id
RETURNING p.id, p.run_at, p.attempts, p.generation, p.first_tried_at, now() AS now
"""

RELEASE_LEASES = """
DELETE FROM pending WHERE id = ANY ($1::uuid[]) AND lease = $2
RETURNING id, attempts, generation, first_tried_at
"""

RETRY_EFFECT = """
UPDATE pending
SET lease = NULL, run_at = now() + make_interval(secs => $3), error = $4,
    generation = generation + CASE WHEN $5 THEN 1 ELSE 0 END,
    first_tried_at = CASE WHEN $5 THEN NULL ELSE first_tried_at END
WHERE id = $1 AND lease = $2
"""

# Not tried after all: the attempt the claim counted is taken back, and what waits for it waits again if it must ($5).
PUT_EFFECT_OFF = """
UPDATE pending
SET lease = NULL, run_at = now() + make_interval(secs => $3), error = coalesce($4, error), attempts = attempts - 1,
    first_tried_at = CASE WHEN attempts = 1 THEN NULL ELSE first_tried_at END, aggregate = coalesce($5, aggregate)
WHERE id = $1 AND lease = $2
"""

PUT_BACK = """
INSERT INTO pending (id, job, run_at, aggregate, weight, attempts)
SELECT t.id, $4, now() + make_interval(secs => t.delay), t.aggregate, t.weight, t.attempts
FROM unnest($1::uuid[], $2::float8[], $3::smallint[], $5::uuid[], $6::smallint[])
    AS t (id, delay, attempts, aggregate, weight)
"""

PARK = """
INSERT INTO parked (id, job, attempts, generation, first_tried_at, error)
SELECT t.id, $2, t.attempts, t.generation, t.first_tried_at, t.error
FROM unnest($1::uuid[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::text[])
    AS t (id, attempts, generation, first_tried_at, error)
"""

# The lock comes first: a retry must not race another operator's retry or cancellation. Attempts start again, or what
# was parked because they were used up would be parked again without having run.
UNPARK = """
WITH taken AS (DELETE FROM parked WHERE id = $1 RETURNING *)
INSERT INTO pending (id, job, aggregate, weight, attempts, generation, first_tried_at, solo)
SELECT t.id, t.job, c.aggregate, $2, 0, t.generation, t.first_tried_at, true
FROM taken t JOIN commands c ON c.id = t.id
RETURNING job
"""

# Rows another worker holds are left: it has its own note of them.
MARK_SOLO = """
UPDATE pending SET solo = true, attempts = attempts + $2
WHERE id IN (SELECT id FROM pending WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED)
"""

NEXT_RUN = "SELECT extract(epoch FROM min(run_at) - now())::float8 FROM pending WHERE job = $1"

# Not worth waiting for the disk: a crash of PostgreSQL ends the batch's transaction anyway.
NOTE_RUN = """
INSERT INTO runs (worker, job, xid, ids)
SELECT $1, $2, $3, $4 FROM (SELECT set_config('synchronous_commit', 'off', true)) AS asynchronous
ON CONFLICT (worker, job) DO UPDATE SET xid = excluded.xid, ids = excluded.ids, noted_at = now()
"""

HEARTBEAT = """
INSERT INTO workers (id, name, lanes, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
"""

# A run is dead when its transaction is gone without a commit and its worker has been silent. Its commands are
# marked before the note of it goes, in one transaction, so that a crash of the rescue loses nothing.
TAKE_DEAD_RUNS = """
DELETE FROM runs r
WHERE coalesce(pg_xact_status(r.xid), 'aborted') <> 'in progress'
  AND NOT EXISTS (
    SELECT FROM workers w WHERE w.id = r.worker AND w.heartbeat_at > now() - make_interval(secs => $1))
RETURNING r.worker, r.job, r.ids, coalesce(pg_xact_status(r.xid), 'aborted') = 'aborted' AS aborted
"""

PRUNE_WORKERS = "DELETE FROM workers WHERE heartbeat_at < now() - make_interval(secs => $1)"

DUE_JOBS = """
SELECT j FROM unnest($1::text[]) AS j
WHERE EXISTS (SELECT FROM pending WHERE job = j AND run_at <= now())
"""

# One step of pruning: small enough never to hold a lock or a snapshot for long.
PRUNE_KEYS = """
WITH old AS MATERIALIZED (
    SELECT principal, key_hash FROM idempotency
    WHERE created_at < now() - make_interval(hours => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency k USING old o WHERE k.principal = o.principal AND k.key_hash = o.key_hash
"""

OUTCOME_COLUMNS = (
    ("id", "uuid"),
    ("status", "text"),
    ("attempts", "smallint"),
    ("result", "json"),
    ("problem", "json"),
)
EVENT_COLUMNS = (
    ("stream", "uuid"),
    ("version", "integer"),
    ("type", "text"),
    ("data", "jsonb"),
    ("actor", "uuid"),
    ("correlation", "text"),
)


async def insert_commands(conn: Connection, commands: Sequence[NewCommand]) -> set[UUID]:
    """Write key, command and pending row of each; return the ids that were new.

    A keyed command that isn't returned lost its key to an earlier one (:func:`load_keys` says to which),
    or was written by an earlier call with the same ids.
    """
    ordered = sorted(commands, key=lambda c: (c.principal, c.key_hash or b""))
    rows = await conn.fetch(
        INSERT_COMMANDS,
        [c.id for c in ordered],
        [c.principal for c in ordered],
        [c.command.job for c in ordered],
        [c.command.aggregate() for c in ordered],
        [c.payload for c in ordered],
        [c.correlation for c in ordered],
        [min(c.command.weight(), 32_767) for c in ordered],
        [c.delay_seconds for c in ordered],
        [c.key_hash for c in ordered],
        [c.fingerprint for c in ordered],
        [c.trace for c in ordered],
    )
    return {row["id"] for row in rows}


async def load_keys(
    conn: Connection, keys: Sequence[tuple[UUID, bytes]]
) -> dict[tuple[UUID, bytes], tuple[UUID | None, bytes]]:
    """Return (command id, fingerprint) of each (principal, key hash) that is taken; no id where it has an answer."""
    rows = await conn.fetch(LOAD_KEYS, [key[0] for key in keys], [key[1] for key in keys])
    return {(row["principal"], row["key_hash"]): (row["command_id"], row["fingerprint"]) for row in rows}


async def load_claimed(conn: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    """Return the commands' rows in the order of their ids, with ``finished`` where an outcome exists."""
    return await conn.fetch(LOAD_CLAIMED, ids, min(ids), max(ids))


async def insert_outcomes(conn: Connection, outcomes: Sequence[tuple[UUID, str, int, str | None, str | None]]) -> None:
    """Append outcomes: (id, status, attempts, result as JSON, problem as JSON)."""
    await write(conn, Rows("outcomes", OUTCOME_COLUMNS, outcomes))


def event_rows(events: Sequence[Event]) -> Rows:
    """Events as rows to write; a stream's version that is already there is a unique violation."""
    return Rows(
        "events", EVENT_COLUMNS, [(e.stream, e.version, e.type, e.data, e.actor, e.correlation) for e in events]
    )


async def insert_events(conn: Connection, events: Sequence[Event]) -> None:
    """Append events."""
    await write(conn, event_rows(events))


async def park(conn: Connection, job: str, rows: Sequence[tuple[UUID, int, int, datetime | None, str]]) -> None:
    """Park commands: (id, attempts, generation, first tried at, error)."""
    if rows:
        ids, attempts, generations, tried, errors = (list(column) for column in zip(*rows, strict=True))
        await conn.execute(PARK, ids, job, attempts, generations, tried, errors)
