"""Statements of sessions: open, refresh, revoke; and the one-time tokens of mails.

Invariant: a refresh token is spent once. Its session's row is locked before the token is looked at, so of two that
come with the same one, one is first, and the second has a spent token in hand. Who ends several sessions of an account
holds the account's row.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from domain.accounts.account_sql import revoke_subjects
from domain.accounts.model import NewOneTimeToken, NewSession, Purpose
from domain.connection import Connection

SESSIONS_MAX = 50
"""Live sessions of an account; a login beyond them ends the one that was used least recently."""

INSERT_SESSION = """
WITH opened AS (
    INSERT INTO sessions (id, account_id, address, client, expires_at)
    VALUES ($1, $2, $3, $4, now() + make_interval(secs => $6))
    RETURNING id, expires_at
)
INSERT INTO refresh_tokens (hash, session_id, expires_at) SELECT $5, id, expires_at FROM opened
"""

SURPLUS = """
SELECT id FROM sessions WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now()
ORDER BY used_at DESC, id DESC OFFSET $2
"""

LOAD_SESSION_ID = "SELECT session_id FROM refresh_tokens WHERE hash = $1"

LOCK_SESSION = "SELECT count(*) FROM (SELECT FROM sessions WHERE id = $1 FOR UPDATE) AS locked"

LOAD_REFRESH = """
SELECT s.id AS session_id, s.account_id, t.spent_at IS NOT NULL AS spent,
       s.revoked_at IS NULL AND s.expires_at > now() AND t.expires_at > now() AS live
FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
WHERE t.hash = $1
"""

ROTATE = """
WITH spent AS (
    UPDATE refresh_tokens SET spent_at = now() WHERE hash = $1
), used AS (
    UPDATE sessions SET used_at = now(), expires_at = now() + make_interval(secs => $3), address = $4, client = $5
    WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = $1)
    RETURNING id, expires_at
)
INSERT INTO refresh_tokens (hash, session_id, expires_at) SELECT $2, id, expires_at FROM used
"""

REVOKE_SESSIONS = """
UPDATE sessions SET revoked_at = now() WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL RETURNING id
"""

LIVE_SESSIONS = """
SELECT id FROM sessions WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > now() ORDER BY id
"""

OWN_SESSION = "SELECT id FROM sessions WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL AND expires_at > now()"

INSERT_ONE_TIME = """
INSERT INTO one_time_tokens (id, account_id, purpose, expires_at)
SELECT id, account_id, purpose, now() + make_interval(secs => seconds)
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[]) AS t (id, account_id, purpose, seconds)
ON CONFLICT (id) DO NOTHING
"""

LOCK_HOLDER = """
SELECT count(*) FROM (
    SELECT FROM accounts WHERE id = (SELECT account_id FROM one_time_tokens WHERE id = $1) FOR NO KEY UPDATE
) AS locked
"""

USE_ONE_TIME = """
UPDATE one_time_tokens SET used_at = now()
WHERE id = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > now()
RETURNING account_id
"""

# One link that was used makes the others of its kind worthless.
VOID_ONE_TIME = """
UPDATE one_time_tokens SET used_at = now() WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL
"""


UNUSED = """
SELECT account_id, purpose, count(*) AS number FROM one_time_tokens
WHERE account_id = ANY ($1::uuid[]) AND used_at IS NULL AND expires_at > now()
GROUP BY account_id, purpose
"""


class Refresh(Struct, frozen=True):
    """A refresh token that came in. ``live``: neither it nor its session has ended."""

    session_id: UUID
    account_id: UUID
    spent: bool
    live: bool


async def open_session(conn: Connection, session: NewSession) -> list[UUID]:
    """Write a login; return the sessions of the account that are one too many now, and were revoked."""
    await conn.execute(
        INSERT_SESSION,
        session.id,
        session.account_id,
        session.address,
        session.client,
        session.token_hash,
        float(session.seconds),
    )
    surplus = [row["id"] for row in await conn.fetch(SURPLUS, session.account_id, SESSIONS_MAX)]
    return await revoke_sessions(conn, surplus)


async def lock_refresh(conn: Connection, token_hash: bytes) -> Refresh | None:
    """Lock the session of a refresh token and read where both stand; None for a token nobody was given."""
    session_id = await conn.fetchval(LOAD_SESSION_ID, token_hash)
    if session_id is None:
        return None
    await conn.fetchval(LOCK_SESSION, session_id)
    row = await conn.fetchrow(LOAD_REFRESH, token_hash)
    return None if row is None else Refresh(row["session_id"], row["account_id"], row["spent"], row["live"])


async def rotate(conn: Connection, spent: bytes, fresh: bytes, *, seconds: int, address: str, client: str) -> None:
    """Spend a refresh token and write the next one of its session, which lives on for ``seconds``."""
    await conn.execute(ROTATE, spent, fresh, float(seconds), address, client)


async def revoke_sessions(conn: Connection, session_ids: Sequence[UUID]) -> list[UUID]:
    """End sessions and what came from them; return those that hadn't ended."""
    if not session_ids:
        return []
    ended = [row["id"] for row in await conn.fetch(REVOKE_SESSIONS, list(session_ids))]
    if ended:
        await revoke_subjects(conn, ended)
    return ended


async def revoke_all_sessions(conn: Connection, account_id: UUID, *, but: UUID | None = None) -> list[UUID]:
    """End an account's sessions, all or all but one; return those that hadn't ended."""
    live = [row["id"] for row in await conn.fetch(LIVE_SESSIONS, account_id)]
    return await revoke_sessions(conn, [session for session in live if session != but])


async def insert_one_time_tokens(conn: Connection, tokens: Sequence[NewOneTimeToken]) -> None:
    """Write one-time tokens; one that is there already stays as it is."""
    if tokens:
        await conn.execute(
            INSERT_ONE_TIME,
            [t.id for t in tokens],
            [t.account_id for t in tokens],
            [t.purpose.value for t in tokens],
            [float(t.seconds) for t in tokens],
        )


async def count_unused(conn: Connection, account_ids: Sequence[UUID]) -> dict[tuple[UUID, Purpose], int]:
    """Count the tokens of some accounts that could still be used, by purpose; where there are none, none is named."""
    rows = await conn.fetch(UNUSED, list(account_ids))
    return {(row["account_id"], Purpose(row["purpose"])): row["number"] for row in rows}


async def use_one_time_token(conn: Connection, token_id: UUID, purpose: Purpose) -> UUID | None:
    """Use a token up, and with it the account's others of its purpose; return the account, None if it is no good.

    The account is locked first: of two tokens of it that come at once, one is used and takes the other along.
    """
    await conn.fetchval(LOCK_HOLDER, token_id)
    account_id: UUID | None = await conn.fetchval(USE_ONE_TIME, token_id, purpose.value)
    if account_id is not None:
        await conn.execute(VOID_ONE_TIME, account_id, purpose.value)
    return account_id
