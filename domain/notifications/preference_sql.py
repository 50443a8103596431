"""Statements of what recipients have switched off.

Invariant: a recipient's row is locked before it is read to be changed, by an advisory lock as long as there is none: a
guest has no row of their own to lock.
"""

from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.model import Language, language_of
from domain.connection import Connection
from domain.journal.model import Event
from domain.notifications.model import NotificationKind

LOCK_PREFERENCE = "SELECT pg_advisory_xact_lock(hashtextextended('mail_preferences ' || $1::uuid::text, 0))"

LOAD_PREFERENCE = "SELECT switched_off, version FROM mail_preferences WHERE recipient = $1"

SAVE_PREFERENCE = """
INSERT INTO mail_preferences AS p (recipient, switched_off) VALUES ($1, $2)
ON CONFLICT (recipient) DO UPDATE
SET switched_off = excluded.switched_off, version = p.version + 1, updated_at = now()
RETURNING version
"""

FIND_TOLD = """
SELECT n.recipient, n.kind, a.language FROM notifications n LEFT JOIN accounts a ON a.id = n.recipient WHERE n.id = $1
"""


class Preference(Struct, frozen=True):
    """What a recipient has switched off; version 0 is of who never switched anything."""

    switched_off: frozenset[NotificationKind] = frozenset()
    version: int = 0


class PreferenceChanged(Struct, frozen=True):
    """The event ``mail_preference.changed``: everything that is switched off from then on."""

    recipient: UUID
    switched_off: tuple[NotificationKind, ...]

    def event(self, stream: UUID, version: int, actor: UUID, correlation: str) -> Event:
        """The event, ready to write."""
        return Event(stream, version, "mail_preference.changed", msgspec.json.encode(self).decode(), actor, correlation)


class FoundTold(Struct, frozen=True):
    """Whom a notification was for, of which kind it is, and the language they have chosen."""

    recipient: UUID
    kind: NotificationKind
    language: Language | None


async def lock_preference(conn: Connection, recipient: UUID) -> Preference:
    """Have a recipient's switches to oneself until the transaction ends, and read them."""
    await conn.execute(LOCK_PREFERENCE, recipient)
    return await load_preference(conn, recipient)


async def load_preference(conn: Connection, recipient: UUID) -> Preference:
    """Read a recipient's switches."""
    row = await conn.fetchrow(LOAD_PREFERENCE, recipient)
    if row is None:
        return Preference()
    return Preference(frozenset(NotificationKind(kind) for kind in row["switched_off"]), row["version"])


async def save_preference(conn: Connection, recipient: UUID, off: frozenset[NotificationKind]) -> Preference:
    """Write what is switched off, all of it."""
    version = await conn.fetchval(SAVE_PREFERENCE, recipient, sorted(kind.value for kind in off))
    return Preference(off, version)


async def find_told(conn: Connection, notification_id: UUID) -> FoundTold | None:
    """Find a notification."""
    row = await conn.fetchrow(FIND_TOLD, notification_id)
    if row is None:
        return None
    return FoundTold(row["recipient"], NotificationKind(row["kind"]), language_of(row["language"]))
