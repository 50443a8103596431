"""The decision what of a payment is still to be asked of its gateway.

Invariant: pure; nothing is asked that has happened already, and a payment that an order needs isn't cancelled.
"""

from uuid import UUID

from msgspec import Struct

from domain.journal.model import Prepared, Ready, Rejected, Succeeded
from domain.money import Money
from domain.payments.model import Attempt, RefundResult
from domain.payments.news import AttemptState, RefundState
from domain.payments.settlement import Account, Alarm
from domain.payments.starting import outcome_of, wanted
from domain.rejections import Code, Rejection

_OPEN = {AttemptState.PENDING, AttemptState.ACTION_REQUIRED, AttemptState.AUTHORIZED}


class Target(Struct, frozen=True):
    """The payment a gateway is asked about, and how much of it."""

    payment_id: UUID
    gateway: str
    reference: str | None
    currency: str
    amount_minor: int


class Checked(Struct, frozen=True):
    """How far a payment has come, by its gateway's books."""

    payment_id: UUID
    state: AttemptState


def _target(attempt: Attempt, amount_minor: int) -> Ready:
    target = Target(attempt.id, attempt.gateway, attempt.reference, attempt.currency, amount_minor)
    return Ready(target)


def confirm(account: Account | None) -> Prepared:
    """Whether the buyer's payment may go on: where it has ended already, that is the answer."""
    attempt = None if account is None else account.current
    if account is None or attempt is None:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, "no payment of the order has been started"))
    if attempt.state in {AttemptState.PENDING, AttemptState.ACTION_REQUIRED} and wanted(account, attempt):
        return _target(attempt, attempt.amount_minor)
    return outcome_of(account, attempt.id)


def capture(account: Account | None) -> Prepared:
    """Whether what was authorized may be taken: as much as the order comes to now."""
    attempt = None if account is None else account.current
    if account is None or attempt is None:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, "no payment of the order has been started"))
    if attempt.state is AttemptState.CAPTURED:
        return outcome_of(account, attempt.id)
    if attempt.state is not AttemptState.AUTHORIZED or not wanted(account, attempt):
        state = attempt.state.value.replace("_", " ")
        return Rejected(Rejection(409, Code.PAYMENT_STATE, f"the payment is {state}; what is authorized is captured"))
    amount = min(account.order.price.total_minor, attempt.amount_minor)
    if amount == 0:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, "what is left of the order costs nothing"))
    return _target(attempt, amount)


def capture_refused(account: Account, payment_id: UUID) -> Alarm | None:
    """What a person has to know when a gateway won't take what it had promised; None when it has."""
    if account.attempts[payment_id].state is not AttemptState.AUTHORIZED:
        return None
    detail = "the gateway won't capture what it had authorized: nobody pays for what ships"
    return Alarm("capture_refused", payment_id, account.order.id, detail)


def captured(account: Account, payment_id: UUID) -> Succeeded | Rejected:
    """What came of capturing: an authorization that its gateway won't capture stays what it is."""
    if capture_refused(account, payment_id) is not None:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, "the gateway didn't take the money; it is still authorized"))
    return outcome_of(account, payment_id)


def void(account: Account | None, payment_id: UUID) -> Prepared:
    """Whether an attempt is still to be cancelled: it is open, and no order needs it."""
    attempt = None if account is None else account.attempts.get(payment_id)
    if account is None or attempt is None or attempt.state not in _OPEN or wanted(account, attempt):
        return Succeeded()
    return _target(attempt, attempt.amount_minor)


def check(account: Account | None, payment_id: UUID) -> Prepared:
    """What is asked about an attempt: all of them may be."""
    attempt = None if account is None else account.attempts.get(payment_id)
    return (
        Rejected(Rejection(404, Code.NOT_FOUND, "there is no such payment")) if attempt is None else _target(attempt, 0)
    )


def bank_has_it(account: Account | None, payment_id: UUID, refund_no: int) -> bool:
    """Whether a refund that is still to be made is of money that the buyer's bank has taken back meanwhile."""
    known = None if account is None else account.refunds.get((payment_id, refund_no))
    if account is None or known is None or known.state is not RefundState.PENDING:
        return False
    attempt = account.attempts[payment_id]
    return attempt.captured_minor - attempt.refunded_minor - attempt.taken_back_minor < known.amount_minor


def refund(account: Account | None, payment_id: UUID, refund_no: int) -> Prepared:
    """Whether a refund is still to be made."""
    known = None if account is None else account.refunds.get((payment_id, refund_no))
    if account is None or known is None:
        return Rejected(Rejection(404, Code.NOT_FOUND, "there is no such refund"))
    if known.state is RefundState.PENDING:
        return _target(account.attempts[payment_id], known.amount_minor)
    return refund_outcome(account, payment_id, refund_no)


def refund_outcome(account: Account, payment_id: UUID, refund_no: int) -> Succeeded | Rejected:
    """What came of a refund."""
    known = account.refunds[payment_id, refund_no]
    if known.state is RefundState.FAILED:
        why = f"the refund failed: {known.error or 'no reason given'}"
        return Rejected(Rejection(409, Code.PAYMENT_STATE, why))
    return Succeeded(RefundResult(payment_id, refund_no, known.state, Money(known.amount_minor, known.currency)))
