"""Writing down whom something is told, and having the mails follow: what the jobs about notifications share."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.connection import Connection
from domain.journal.declare import Following
from domain.limits import Limits
from domain.notifications.gathering import GATHERED, notifications_of
from domain.notifications.model import SendNotification
from domain.notifications.sql import insert_notifications, load_told, lock_gathering
from domain.notifications.telling import Told


async def write_down(
    following: Following, conn: Connection, told: Sequence[Told], *, now: datetime, limits: Limits
) -> int:
    """Write what is told for the first time, and have it sent; return how many notifications that is."""
    keys = [(t.event.stream, t.event.version, t.recipient, t.audience.value) for t in told]
    known = await load_told(conn, keys)
    fresh = [each for each, key in zip(told, keys, strict=True) if key not in known]
    if not fresh:
        return 0
    apart = timedelta(seconds=limits.low_stock_mail_seconds)
    gathering = await lock_gathering(conn, [t.recipient for t in fresh if t.kind in GATHERED], now - apart)
    ids = [following.new_id() for _ in fresh]
    notifications = notifications_of(fresh, ids, gathering, now=now, apart=apart)
    new = await insert_notifications(conn, notifications)
    for each, notification in zip(fresh, notifications, strict=True):
        if notification.id in new and notification.told_in is None:
            delay = max(0.0, (notification.due_at - now).total_seconds())
            following.follow_up(SendNotification(notification.id), each.event.correlation, delay_seconds=delay)
    return len(new)
