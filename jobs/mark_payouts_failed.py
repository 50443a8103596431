"""Give what is in payouts back to the sellers' balances: whole, a bounded number of seller orders a step, or by seller.

What was taken goes back to the settlements it was taken from, so the next payout finds it there.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Claimed, Rejected, Succeeded
from domain.payments.payout_sql import load_included, load_items, lock_payout, save_payout, sum_items
from domain.payments.payouts import (
    STEP_SELLERS,
    ItemState,
    MarkPayoutFailed,
    Payout,
    PayoutFailed,
    PayoutState,
    PayoutStep,
    first_of,
    next_state,
    refuse_failing,
)
from domain.rejections import Rejection
from jobs.paying_out import NO_PAYOUT, book_back, event_of, followed, progress_of


@batch(MarkPayoutFailed, commands_max=1)
async def mark_payouts_failed(batch: Batch[MarkPayoutFailed]) -> Sequence[BatchOutcome]:
    """Give back what some sellers have in a payout, or take one step of giving back all of it."""
    (claimed,) = batch.commands
    named = claimed.command.failed.sellers
    payout = await lock_payout(batch.conn, claimed.command.payout_id)
    if payout is None:
        return [Rejected(NO_PAYOUT)]
    state = payout.state
    if state is not PayoutState.FAILING or named is not None:
        allowed = next_state(state, PayoutStep.FAIL if named is None else PayoutStep.FAIL_SOME)
        if isinstance(allowed, Rejection):
            return [Rejected(allowed)]
        state = allowed
    if named is not None:
        return [await _fail_some(batch, claimed, payout, tuple(sorted(set(named))))]
    reason = payout.reason or claimed.command.failed.reason
    return [await _fail(batch, claimed, replace(payout, state=state, reason=reason))]


async def _fail_some(
    batch: Batch[MarkPayoutFailed], claimed: Claimed[MarkPayoutFailed], payout: Payout, sellers: tuple[UUID, ...]
) -> BatchOutcome:
    conn, reason = batch.conn, claimed.command.failed.reason
    items = await load_items(conn, payout.id, sellers)
    refused = refuse_failing(items, sellers, payout.state)
    if refused is not None:
        return Rejected(refused)
    after = replace(payout, version=payout.version + 1)
    if payout.state is not PayoutState.PAID:
        left = await sum_items(conn, payout.id, ItemState.INCLUDED)
        if left.sellers == len(items):
            after = followed(followed(after, PayoutStep.FAIL), PayoutStep.FINISH)
            after = replace(after, reason=reason, ended_at=batch.now)
    event = event_of(claimed, after, "payout.failed", PayoutFailed(sellers, reason))
    await save_payout(conn, after, [event])
    await book_back(batch, payout, items, ItemState.FAILED, dict.fromkeys(sellers, reason))
    return Succeeded(progress_of(after))


async def _fail(batch: Batch[MarkPayoutFailed], claimed: Claimed[MarkPayoutFailed], payout: Payout) -> BatchOutcome:
    found = await load_included(batch.conn, payout.id, STEP_SELLERS)
    items = first_of(found)
    events = []
    if len(items) < len(found) or len(found) == STEP_SELLERS:
        batch.follow_up(claimed.command, claimed.correlation, principal=claimed.principal)
    else:
        payout = followed(payout, PayoutStep.FINISH)
        payout = replace(payout, version=payout.version + 1, ended_at=batch.now)
        events.append(event_of(claimed, payout, "payout.failed", PayoutFailed(None, payout.reason)))
    await save_payout(batch.conn, payout, events)
    reasons = {item.seller_id: payout.reason for item in items}
    await book_back(batch, payout, items, ItemState.FAILED, reasons)
    return Succeeded(progress_of(payout))
