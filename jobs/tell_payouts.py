"""Tell sellers that they were paid: a payout's sellers in bounded steps, each of which has the next one follow."""

from collections.abc import Sequence

from msgspec import Struct, structs

from domain.journal.declare import Batch, batch
from domain.journal.event_reads import load_events
from domain.journal.model import BatchOutcome, Claimed, Rejected, Succeeded
from domain.notifications.model import NEEDED, Audience, NotificationKind, TellPayout
from domain.notifications.reads import load_members, load_paid_sellers, load_switched_off
from domain.notifications.telling import Told
from domain.rejections import Code, Rejection
from jobs.telling import write_down

STEP_SELLERS = 1_000
KIND = NotificationKind.PAYOUT_PAID


class ToldPayout(Struct, frozen=True):
    """How many notifications a step wrote, and whether there may be more."""

    notifications: int
    more: bool


@batch(TellPayout, commands_max=1)
async def tell_payouts(batch: Batch[TellPayout]) -> Sequence[BatchOutcome]:
    """Take one step of one payout."""
    return [await _step(batch, claimed) for claimed in batch.commands]


async def _step(batch: Batch[TellPayout], claimed: Claimed[TellPayout]) -> BatchOutcome:
    command = claimed.command
    events = await load_events(batch.conn, [(command.payout_id, command.version)])
    if not events:
        return Rejected(Rejection(404, Code.NOT_FOUND, "no such event of a payout"))
    (paid,) = events
    sellers = await load_paid_sellers(batch.conn, command.payout_id, command.after_seller, STEP_SELLERS)
    members = await load_members(batch.conn, sellers)
    off = await load_switched_off(batch.conn, list({m for some in members.values() for m in some}))
    told = [
        Told(paid, Audience.SELLER, KIND, member, seller)
        for seller in sellers
        for member in members.get(seller, ())
        if KIND in NEEDED or KIND.value not in off.get(member, frozenset())
    ]
    written = await write_down(batch, batch.conn, told, now=batch.now, limits=batch.limits)
    more = len(sellers) == STEP_SELLERS
    if more:
        batch.follow_up(structs.replace(command, after_seller=sellers[-1]), claimed.correlation)
    return Succeeded(ToldPayout(written, more))
