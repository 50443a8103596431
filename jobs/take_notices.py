"""Take in what gateways say by webhook, whether it comes twice, late or out of order."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Cause, Claimed, Rejected, Succeeded
from domain.payments.model import NoticeResult, TakeNotice
from domain.payments.news import News
from domain.payments.sql import find_orders, find_references
from domain.rejections import Code, Rejection
from jobs.settling import Heard, settle


@batch(TakeNotice)
async def take_notices(batch: Batch[TakeNotice]) -> Sequence[BatchOutcome]:
    """Take notices in; one that is about no payment of ours changes nothing."""
    notices = [claimed.command for claimed in batch.commands]
    names = {(n.gateway, n.notice.payment.reference) for n in notices if n.notice.payment is not None}
    references = await find_references(batch.conn, {(g, r) for g, r in names if r is not None})
    payments = [_payment(n.gateway, n.notice.payment, references) for n in notices]
    orders = await find_orders(batch.conn, {payment_id for payment_id in payments if payment_id is not None})
    heard = {
        claimed.id: _heard(claimed, payment_id, orders[payment_id])
        for claimed, payment_id in zip(batch.commands, payments, strict=True)
        if payment_id is not None and payment_id in orders
    }
    settled = await settle(batch, list(heard.values()))
    differing = dict(zip(heard, settled.differing, strict=True))
    return [_outcome(claimed, heard.get(claimed.id), differing.get(claimed.id)) for claimed in batch.commands]


def _payment(gateway: str, news: News | None, references: Mapping[tuple[str, str], UUID]) -> UUID | None:
    if news is None or news.payment_id is not None or news.reference is None:
        return None if news is None else news.payment_id
    return references.get((gateway, news.reference))


def _heard(claimed: Claimed[TakeNotice], payment_id: UUID, order_id: UUID) -> Heard:
    notice = claimed.command.notice
    return Heard(
        order_id,
        payment_id,
        Cause(claimed.id, claimed.correlation),
        notice.payment,
        notice.refund,
        notice.dispute,
        claimed.command.gateway,
    )


def _outcome(claimed: Claimed[TakeNotice], heard: Heard | None, differing: str | None) -> BatchOutcome:
    if heard is None and claimed.command.notice.payment is None:
        return Succeeded(NoticeResult(None, None))
    if heard is None:
        return Rejected(Rejection(404, Code.NOT_FOUND, "the notice is about no payment of ours"))
    if differing is not None:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, f"the notice can't be about this payment: {differing}"))
    return Succeeded(NoticeResult(heard.payment_id, heard.order_id))
