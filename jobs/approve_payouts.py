"""Let payouts go to the bank. Who may not be paid any more is withdrawn and has the balance back.

A withdrawal of very many is done in steps; the payout waits for approval until the last one. A chargeback that is
opened after the approval changes nothing of the payout: it is a negative balance in the next one.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Rejected, Succeeded
from domain.payments.payout_sql import (
    find_disputed,
    find_unpayable,
    load_items,
    lock_payout,
    save_payout,
    sum_items,
)
from domain.payments.payouts import (
    ApprovePayout,
    Item,
    ItemState,
    Payout,
    PayoutApproved,
    PayoutFailed,
    PayoutStep,
    first_of,
    next_state,
    withdrawals,
)
from domain.rejections import Rejection
from jobs.paying_out import NO_PAYOUT, book_back, event_of, followed, progress_of

ALL_WITHDRAWN = "every seller was withdrawn"


@batch(ApprovePayout, commands_max=1)
async def approve_payouts(batch: Batch[ApprovePayout]) -> Sequence[BatchOutcome]:
    """Approve a payout, or withdraw as many of its sellers as a step may."""
    (claimed,) = batch.commands
    conn = batch.conn
    payout = await lock_payout(conn, claimed.command.payout_id)
    if payout is None:
        return [Rejected(NO_PAYOUT)]
    state = next_state(payout.state, PayoutStep.APPROVE)
    if isinstance(state, Rejection):
        return [Rejected(state)]
    disputed, unpayable = await find_disputed(conn, payout.id), await find_unpayable(conn, payout.id)
    items = [i for i in await load_items(conn, payout.id, disputed | unpayable) if i.state is ItemState.INCLUDED]
    step = first_of(items)
    reasons = withdrawals(step, disputed, unpayable)
    if len(step) < len(items):
        await book_back(batch, payout, step, ItemState.WITHDRAWN, reasons)
        batch.follow_up(claimed.command, claimed.correlation, principal=claimed.principal)
        return [Succeeded(progress_of(payout, more=True))]
    left = await sum_items(conn, payout.id, ItemState.INCLUDED)
    gone = await sum_items(conn, payout.id, ItemState.WITHDRAWN)
    amount = left.amount_minor - _sum(step)
    after = replace(payout, version=payout.version + 1, approved_by=claimed.principal, approved_at=batch.now)
    if amount:
        after = replace(after, state=state)
        data = PayoutApproved(left.sellers - len(step), amount, gone.sellers + len(step))
        event = event_of(claimed, after, "payout.approved", data)
    else:
        after = _given_up(replace(payout, version=payout.version + 1, ended_at=batch.now))
        event = event_of(claimed, after, "payout.failed", PayoutFailed(None, ALL_WITHDRAWN))
    await save_payout(conn, after, [event])
    await book_back(batch, payout, step, ItemState.WITHDRAWN, reasons)
    return [Succeeded(progress_of(after))]


def _sum(items: Sequence[Item]) -> int:
    return sum(item.amount_minor for item in items)


def _given_up(payout: Payout) -> Payout:
    failed = followed(followed(payout, PayoutStep.FAIL), PayoutStep.FINISH)
    return replace(failed, reason=ALL_WITHDRAWN)
