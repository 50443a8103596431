"""What is kept of accounts only for a while, and goes when its time is over.

A token that has expired is refused whether its row is there or not; a revocation is needed only while there can be
tokens that it takes back, and for as long as an account is suspended. What somebody holds goes the next time: pruning
has no order that others could keep to, so it waits for nobody.
"""

from domain.connection import Connection

PRUNE = """
WITH gone_sessions AS (
    DELETE FROM sessions WHERE id = ANY (ARRAY(
        SELECT id FROM sessions WHERE expires_at < now() - interval '30 days'
        ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING id
), gone_refresh_tokens AS (
    DELETE FROM refresh_tokens WHERE hash = ANY (ARRAY(
        SELECT hash FROM refresh_tokens WHERE expires_at < now()
        ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING hash
), gone_one_time_tokens AS (
    DELETE FROM one_time_tokens WHERE id = ANY (ARRAY(
        SELECT id FROM one_time_tokens WHERE expires_at < now() - interval '1 day'
        ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING id
), gone_revocations AS (
    DELETE FROM revocations WHERE subject = ANY (ARRAY(
        SELECT subject FROM revocations r WHERE at < now() - interval '2 days'
            AND NOT EXISTS (SELECT FROM accounts a WHERE a.id = r.subject AND a.status = 'suspended')
        ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING subject
)
SELECT (SELECT count(*) FROM gone_sessions) + (SELECT count(*) FROM gone_refresh_tokens)
     + (SELECT count(*) FROM gone_one_time_tokens) + (SELECT count(*) FROM gone_revocations)
"""


async def prune_accounts(conn: Connection, step: int) -> int:
    """Delete up to ``step`` rows of each kind; return how many there were."""
    return int(await conn.fetchval(PRUNE, step))
