"""Statements of notifications: write them once, note what became of them.

Invariant: one row per event, recipient, audience and channel. What is written again, because events are played again,
is left as it is, and nothing follows from it.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.notifications.model import Gathering, Notification, NotificationState

LOAD_TOLD = """
SELECT n.stream, n.version, n.recipient, n.audience
FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[]) AS t (stream, version, recipient, audience)
JOIN notifications n ON n.stream = t.stream AND n.version = t.version AND n.recipient = t.recipient
    AND n.audience = t.audience AND n.channel = 'email'
"""

# The last mail of each recipient that gathers. Whoever sends it locks it as well, so what is gathered into one that
# hasn't been tried yet is in it when it is.
LOCK_GATHERING = """
SELECT n.id, n.recipient, n.due_at, n.state = 'queued' AND n.attempts = 0 AS open
FROM (SELECT DISTINCT unnest($1::uuid[]) AS recipient) t
CROSS JOIN LATERAL (
    SELECT id FROM notifications
    WHERE recipient = t.recipient AND kind = 'low_stock' AND told_in IS NULL AND due_at > $2
    ORDER BY due_at DESC, id DESC LIMIT 1
) AS last
JOIN notifications n ON n.id = last.id
ORDER BY n.id FOR NO KEY UPDATE OF n
"""

INSERT_NOTIFICATIONS = """
INSERT INTO notifications (id, stream, version, audience, recipient, kind, seller_id, state, told_in, due_at)
SELECT id, stream, version, audience, recipient, kind, seller_id, state, told_in, due_at
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::uuid[], $6::text[], $7::uuid[], $8::text[],
            $9::uuid[], $10::timestamptz[])
    AS t (id, stream, version, audience, recipient, kind, seller_id, state, told_in, due_at)
ON CONFLICT (stream, version, recipient, audience, channel) DO NOTHING
RETURNING id
"""

LOCK_NOTIFICATIONS = """
SELECT count(*) FROM (
    SELECT FROM notifications WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

BEGIN_TRIES = """
UPDATE notifications n SET attempts = n.attempts + 1, message_id = coalesce(n.message_id, t.message_id)
FROM unnest($1::uuid[], $2::text[]) AS t (id, message_id)
WHERE n.id = t.id AND n.state = 'queued'
"""

END_NOTIFICATIONS = """
UPDATE notifications n
SET state = t.state, reason = t.reason, sent_at = CASE WHEN t.state = 'sent' THEN now() END
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (id, state, reason)
WHERE n.id = t.id AND n.state = 'queued'
"""


async def load_told(conn: Connection, keys: Sequence[tuple[UUID, int, UUID, str]]) -> set[tuple[UUID, int, UUID, str]]:
    """Which of (stream, version, recipient, audience) have been told already."""
    rows = await conn.fetch(LOAD_TOLD, *(list(column) for column in zip(*keys, strict=True))) if keys else ()
    return {(row["stream"], row["version"], row["recipient"], row["audience"]) for row in rows}


async def lock_gathering(conn: Connection, recipients: Sequence[UUID], since: datetime) -> dict[UUID, Gathering]:
    """Lock the last gathering mail of each recipient that is due after a time."""
    rows = await conn.fetch(LOCK_GATHERING, recipients, since) if recipients else ()
    return {row["recipient"]: Gathering(row["id"], row["due_at"], row["open"]) for row in rows}


async def insert_notifications(conn: Connection, notifications: Sequence[Notification]) -> set[UUID]:
    """Write notifications; return the ids of those that are new."""
    rows = await conn.fetch(
        INSERT_NOTIFICATIONS,
        [n.id for n in notifications],
        [n.stream for n in notifications],
        [n.version for n in notifications],
        [n.audience.value for n in notifications],
        [n.recipient for n in notifications],
        [n.kind.value for n in notifications],
        [n.seller_id for n in notifications],
        [n.state.value for n in notifications],
        [n.told_in for n in notifications],
        [n.due_at for n in notifications],
    )
    return {row["id"] for row in rows}


async def lock_notifications(conn: Connection, notification_ids: Sequence[UUID]) -> None:
    """Lock notifications by id; read them in the next statement."""
    await conn.fetchval(LOCK_NOTIFICATIONS, notification_ids)


async def begin_tries(conn: Connection, tries: Sequence[tuple[UUID, str]]) -> None:
    """Note that mails are about to be sent, each under its Message-ID: the one it has, if it was tried before."""
    await conn.execute(BEGIN_TRIES, [key for key, _ in tries], [message_id for _, message_id in tries])


async def end_notifications(conn: Connection, ends: Sequence[tuple[UUID, NotificationState, str]]) -> None:
    """Note what became of notifications, and why they weren't sent."""
    await conn.execute(
        END_NOTIFICATIONS,
        [key for key, _, _ in ends],
        [state.value for _, state, _ in ends],
        [reason[:500] for _, _, reason in ends],
    )
