"""Hear of events and write down whom they are told by mail: a notification for each recipient, a command to send it.

It begins with the events that come after it was first run: a marketplace that is taken into operation, or that gets
this version, mails nobody about its past.
"""

from domain.journal.declare import EventBatch, subscription
from domain.notifications.model import TellPayout
from domain.notifications.reads import load_listeners
from domain.notifications.telling import TELLS, tell
from jobs.telling import write_down


@subscription("mails", TELLS, events_max=500, from_now=True)
async def tell_by_mail(batch: EventBatch) -> None:
    """Write the notifications of some events. Whom a payout is told, its own command looks up."""
    told = tell(batch.events, await load_listeners(batch.conn, batch.events))
    await write_down(batch, batch.conn, told, now=batch.now, limits=batch.limits)
    for event in batch.events:
        if event.type == "payout.paid":
            batch.follow_up(TellPayout(event.stream, event.version), event.correlation)
