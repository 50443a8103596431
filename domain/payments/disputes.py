"""The decision what a chargeback means for an order and for who bears it.

Invariant: pure. A chargeback is booked once, when it is first heard of, and goes back where it came from once, when it
is won. While it is open nothing of the order is paid out.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from domain.journal.model import Cause
from domain.payments import postings
from domain.payments.ledger import PostingKind
from domain.payments.model import Attempt, Chargeback, ChargebackMoved
from domain.payments.news import DisputeNews, DisputeState
from domain.payments.settlement import Account, Alarm, SettlementPlan, settle_up, tell

Booked = Mapping[UUID, Sequence[tuple[str, str, int]]]
"""Entries of chargebacks' postings, (account, owner, amount) each, by cause."""

_DISPUTES = [DisputeState.OPENED, DisputeState.LOST, DisputeState.WON]
_DISPUTE_EVENTS = {
    DisputeState.OPENED: "order.chargeback_opened",
    DisputeState.WON: "order.chargeback_won",
    DisputeState.LOST: "order.chargeback_lost",
}


def dispute(
    account: Account,
    attempt: Attempt,
    news: DisputeNews,
    known: Chargeback | None,
    *,
    liable: str,
    booked: Booked,
    cause: Cause,
    plan: SettlementPlan,
) -> Chargeback | None:
    """Take in a chargeback; None when nothing is new. One that was won stays won, whatever is heard later.

    ``booked`` is what the ledger has of chargebacks.
    """
    if news.currency is not None and news.currency != attempt.currency:
        detail = f"chargeback {news.reference} is in {news.currency}, the payment in {attempt.currency}"
        plan.alarms.append(Alarm("chargeback_differs", attempt.id, account.order.id, detail))
        return None
    if known is not None and _DISPUTES.index(news.state) <= _DISPUTES.index(known.state):
        return _charge_fee(account, known, news.fee_minor, booked=booked, cause=cause, plan=plan)
    taken = attempt.captured_minor - attempt.refunded_minor or attempt.amount_minor
    amount = news.amount_minor or taken
    chargeback = Chargeback(
        gateway=attempt.gateway,
        reference=news.reference,
        payment_id=attempt.id,
        order_id=attempt.order_id,
        amount_minor=amount if known is None else known.amount_minor,
        fee_minor=news.fee_minor if known is None else known.fee_minor,
        currency=attempt.currency,
        liable=liable if known is None else known.liable,
        state=news.state,
        reason=news.reason if known is None else known.reason,
    )
    was = 0 if known is None or known.state is DisputeState.WON else known.amount_minor
    entries = _entries(postings.chargeback_id(chargeback), booked, plan)
    if news.state is DisputeState.WON:
        plan.postings.extend(postings.charged_back_in_vain(account.order, chargeback, entries))
    elif not entries:
        plan.postings.extend(postings.charged_back(account.order, chargeback, attempt.refundable_minor))
    else:
        charged = _charge_fee(account, chargeback, news.fee_minor, booked=booked, cause=cause, plan=plan)
        chargeback = charged or chargeback
    is_open, was_open = news.state is DisputeState.OPENED, known is not None and known.state is DisputeState.OPENED
    plan.disputes[account.order.id] = plan.disputes.get(account.order.id, 0) + is_open - was_open
    attempt.taken_back_minor += (0 if news.state is DisputeState.WON else chargeback.amount_minor) - was
    told = ChargebackMoved(attempt.id, news.reference, chargeback.amount_minor, chargeback.fee_minor, chargeback.liable)
    tell(account.order, _DISPUTE_EVENTS[news.state], told, cause, plan)
    detail = f"chargeback {news.reference} over {chargeback.amount_minor} is {news.state.value}"
    plan.alarms.append(Alarm("chargeback", attempt.id, account.order.id, detail))
    if news.state is DisputeState.WON:
        # What was cancelled meanwhile couldn't be refunded.
        settle_up(account, attempt, cause, plan)
    return chargeback


def _charge_fee(
    account: Account, known: Chargeback, fee_minor: int, *, booked: Booked, cause: Cause, plan: SettlementPlan
) -> Chargeback | None:
    """Take in a fee that is heard of after its chargeback; None when there is none, or it is known."""
    if known.fee_minor or not fee_minor or known.state is DisputeState.WON:
        return None
    charged = replace(known, fee_minor=fee_minor)
    entries = _entries(postings.chargeback_id(known), booked, plan)
    plan.postings.extend(postings.fee_charged(account.order, charged, entries))
    plan.disputes.setdefault(account.order.id, 0)
    told = ChargebackMoved(known.payment_id, known.reference, known.amount_minor, fee_minor, known.liable)
    tell(account.order, "order.chargeback_fee_charged", told, cause, plan)
    return charged


def _entries(cause_id: UUID, booked: Booked, plan: SettlementPlan) -> Sequence[tuple[str, str, int]]:
    """What the ledger has of a chargeback and of its later fee, or will have once the plan is written."""
    causes = {cause_id, postings.fee_id(cause_id)}
    new = [p for p in plan.postings if p.cause_id in causes and p.kind is PostingKind.CHARGEBACK]
    old = [entry for cause in sorted(causes) for entry in booked.get(cause, ())]
    return old + [(s.account.value, s.owner, amount) for p in new for s, amount in p.entries()]
