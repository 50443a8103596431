"""Book approved payouts as paid by the bank, a bounded number of sellers a step."""

from collections.abc import Sequence

from msgspec.structs import replace

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Rejected, Succeeded
from domain.payments.ledger import PostingKind
from domain.payments.ledger_sql import write_postings
from domain.payments.payout_sql import load_included, lock_payout, save_items, save_payout, sum_items
from domain.payments.payouts import (
    STEP_SELLERS,
    ItemState,
    MarkPayoutPaid,
    PayoutPaid,
    PayoutState,
    PayoutStep,
    next_state,
    postings_of,
)
from domain.rejections import Rejection
from jobs.paying_out import NO_PAYOUT, event_of, followed, progress_of


@batch(MarkPayoutPaid, commands_max=1)
async def mark_payouts_paid(batch: Batch[MarkPayoutPaid]) -> Sequence[BatchOutcome]:
    """Take one step; from the first one on nothing else happens to the payout."""
    (claimed,) = batch.commands
    conn = batch.conn
    payout = await lock_payout(conn, claimed.command.payout_id)
    if payout is None:
        return [Rejected(NO_PAYOUT)]
    if payout.state is not PayoutState.PAYING:
        state = next_state(payout.state, PayoutStep.PAY)
        if isinstance(state, Rejection):
            return [Rejected(state)]
        payout = replace(payout, state=state)
    items = await load_included(conn, payout.id, STEP_SELLERS)
    await save_items(conn, payout.id, ItemState.PAID, {item.seller_id: "" for item in items})
    events = []
    if len(items) == STEP_SELLERS:
        batch.follow_up(claimed.command, claimed.correlation, principal=claimed.principal)
    else:
        payout = followed(payout, PayoutStep.FINISH)
        payout = replace(payout, version=payout.version + 1, ended_at=batch.now)
        paid = await sum_items(conn, payout.id, ItemState.PAID)
        events.append(event_of(claimed, payout, "payout.paid", PayoutPaid(paid.sellers, paid.amount_minor)))
    await save_payout(conn, payout, events)
    postings = postings_of(payout.id, payout.currency, items, PostingKind.PAYOUT_PAID)
    await write_postings(conn, postings, batch.now)
    return [Succeeded(progress_of(payout))]
