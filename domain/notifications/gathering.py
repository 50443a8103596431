"""Notifications of what was told, and which of them share a mail.

Invariant: a recipient gets at most one mail of low stock in ``LOW_STOCK_MAIL_SECONDS``: what else runs low meanwhile is
gathered into the next one, and nothing of it is lost.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.notifications.model import Gathering, Notification, NotificationKind
from domain.notifications.telling import Told

GATHERED = frozenset({NotificationKind.LOW_STOCK})


def notifications_of(
    told: Sequence[Told],
    ids: Sequence[UUID],
    gatherings: Mapping[UUID, Gathering],
    *,
    now: datetime,
    apart: timedelta,
) -> list[Notification]:
    """A notification for each, under the ids given in the same order.

    ``gatherings`` are the last mails of low stock by recipient, ``apart`` is the least time between two of them.
    """
    into = {recipient: last.id for recipient, last in gatherings.items() if last.open}
    made = []
    for each, key in zip(told, ids, strict=True):
        due_at, told_in = now, None
        if each.kind in GATHERED:
            told_in = into.setdefault(each.recipient, key)
            if told_in == key:
                last = gatherings.get(each.recipient)
                due_at, told_in = now if last is None else max(now, last.due_at + apart), None
        made.append(
            Notification(
                id=key,
                stream=each.event.stream,
                version=each.event.version,
                audience=each.audience,
                recipient=each.recipient,
                kind=each.kind,
                seller_id=each.seller_id,
                due_at=due_at,
                told_in=told_in,
            )
        )
    return made
