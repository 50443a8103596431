"""Take what has settled with sellers into a payout, a bounded number of seller orders a step.

Each step moves balances under their locks and books them in the same transaction; then the command follows itself up
with the last seller it has looked at, and a step that dies is done again from there. Nothing waits for the end: orders
go on being placed, delivered and refunded, and what they change is in the next payout.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Claimed, Rejected, Succeeded
from domain.payments.ledger import PostingKind
from domain.payments.ledger_sql import write_postings
from domain.payments.payout_sql import begin_payout, load_payable, lock_due, lock_payout, save_payout, take
from domain.payments.payouts import (
    STEP_ORDERS,
    CollectPayout,
    Payout,
    PayoutCollected,
    PayoutState,
    PayoutStep,
    collect,
    postings_of,
)
from domain.rejections import Code, Rejection
from jobs.paying_out import event_of, followed, progress_of


@batch(CollectPayout, commands_max=1)
async def collect_payouts(batch: Batch[CollectPayout]) -> Sequence[BatchOutcome]:
    """Take one step."""
    (claimed,) = batch.commands
    command = claimed.command
    payout = await lock_payout(batch.conn, command.payout_id or claimed.id)
    if payout is None and command.payout_id is None:
        minimum = command.minimum_minor or batch.limits.payout_minimum_minor
        new = Payout(claimed.id, command.currency, PayoutState.COLLECTING, 0, batch.now, minimum)
        await begin_payout(batch.conn, new, claimed.principal)
        payout = await lock_payout(batch.conn, claimed.id)
    if payout is None:
        detail = f"a payout of {command.currency} is being collected: wait until it waits for approval"
        return [Rejected(Rejection(409, Code.PAYOUT_STATE, detail))]
    # Another step went on from there, or somebody gave the payout up.
    if payout.state is not PayoutState.COLLECTING or payout.after_seller != command.after_seller:
        return [Succeeded(progress_of(payout))]
    return [Succeeded(progress_of(await _step(batch, claimed, payout)))]


async def _step(batch: Batch[CollectPayout], claimed: Claimed[CollectPayout], payout: Payout) -> Payout:
    conn = batch.conn
    due = await lock_due(conn, payout, STEP_ORDERS)
    payable = await load_payable(conn, {each.seller_id for each in due})
    step = collect(due, payable, payout.minimum_minor, limit=STEP_ORDERS)
    await take(conn, payout.id, step)
    after = replace(
        payout,
        after_seller=step.after_seller,
        sellers=payout.sellers + len(step.items),
        orders=payout.orders + len(step.taken),
        total_minor=payout.total_minor + sum(item.amount_minor for item in step.items),
    )
    events = []
    if step.more:
        again = CollectPayout(payout.currency, payout.minimum_minor, payout.id, step.after_seller)
        batch.follow_up(again, claimed.correlation, principal=claimed.principal)
    else:
        after = followed(after, PayoutStep.COLLECT if after.sellers else PayoutStep.FIND_NOTHING)
        after = replace(
            after, version=after.version + 1, ended_at=batch.now if after.state is PayoutState.EMPTY else None
        )
        data = PayoutCollected(after.currency, after.until, after.sellers, after.orders, after.total_minor)
        events.append(event_of(claimed, after, "payout.collected", data))
    await save_payout(conn, after, events)
    await write_postings(conn, postings_of(payout.id, payout.currency, step.items, PostingKind.PAYOUT), batch.now)
    return after
