"""Payouts: what sellers are owed is taken out of their balances, approved by a person, paid by a bank.

Invariant: a seller order's balance stands in exactly one place: with its settlement, or in one payout. It is moved as
it is found under the settlement's lock and never worked out twice, so a payout is exact while orders keep coming; what
changes later changes the settlement and is in the next one.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain import ids
from domain.journal.model import Command, Lane
from domain.money import MINOR_MAX, Currency, Money
from domain.payments.ledger import LedgerAccount, Posting, PostingKind, Side, Transfer, payable, posting
from domain.rejections import Code, Rejection
from domain.text import LINE_PATTERN
from domain.transitions import follow

STEP_ORDERS = 10_000
"""How many seller orders a step takes or gives back, and how many one seller has in a payout at most."""
STEP_SELLERS = 5_000
"""How many sellers' parts a step books at most."""
SELLERS_NAMED_MAX = 1_000
FIRST_SELLER = UUID(int=0)
DISPUTED = "a chargeback is open"
UNPAYABLE = "the seller is suspended or has no payout details"

Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=LINE_PATTERN)]
SellersNamed = Annotated[tuple[UUID, ...], Meta(min_length=1, max_length=SELLERS_NAMED_MAX)]
MinimumMinor = Annotated[int, Meta(ge=1, le=MINOR_MAX)]


class PayoutState(StrEnum):
    """How far a payout is. ``paying`` and ``failing`` are those of which a part is still to be booked."""

    COLLECTING = "collecting"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    PAYING = "paying"
    PAID = "paid"
    FAILING = "failing"
    FAILED = "failed"
    EMPTY = "empty"


class PayoutStep(StrEnum):
    """What happens to a payout, in the past tense of the refusal's sentence."""

    COLLECT = "collected"
    FIND_NOTHING = "left_empty"
    APPROVE = "approved"
    PAY = "marked_paid"
    FAIL = "marked_failed"
    FAIL_SOME = "marked_failed_for_some_sellers"
    FINISH = "finished"


PAYOUT: Mapping[PayoutState, Mapping[PayoutStep, PayoutState]] = {
    PayoutState.COLLECTING: {
        PayoutStep.COLLECT: PayoutState.PENDING_APPROVAL,
        PayoutStep.FIND_NOTHING: PayoutState.EMPTY,
        PayoutStep.FAIL: PayoutState.FAILING,
    },
    PayoutState.PENDING_APPROVAL: {
        PayoutStep.APPROVE: PayoutState.APPROVED,
        PayoutStep.FAIL: PayoutState.FAILING,
        PayoutStep.FAIL_SOME: PayoutState.PENDING_APPROVAL,
    },
    PayoutState.APPROVED: {
        PayoutStep.PAY: PayoutState.PAYING,
        PayoutStep.FAIL: PayoutState.FAILING,
        PayoutStep.FAIL_SOME: PayoutState.APPROVED,
    },
    PayoutState.PAYING: {PayoutStep.FINISH: PayoutState.PAID},
    # Banks send money back days later.
    PayoutState.PAID: {PayoutStep.FAIL_SOME: PayoutState.PAID},
    PayoutState.FAILING: {PayoutStep.FINISH: PayoutState.FAILED},
    PayoutState.FAILED: {},
    PayoutState.EMPTY: {},
}


class ItemState(StrEnum):
    """What became of a seller's part of a payout. Only what is ``included`` is still to be paid."""

    INCLUDED = "included"
    WITHDRAWN = "withdrawn"
    PAID = "paid"
    FAILED = "failed"


class NewPayout(Struct, frozen=True, forbid_unknown_fields=True):
    """What to pay out: the currency, and the least a seller gets (``PAYOUT_MINIMUM_MINOR`` unless said otherwise)."""

    currency: Currency
    minimum: Money | None = None


class FailedPayout(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a payout failed: whole, or for the sellers named."""

    reason: Reason
    sellers: SellersNamed | None = None


class CollectPayout(Command, frozen=True):
    """Take what has settled into a payout; its id is the first command's. Each later one names it, and goes on."""

    job: ClassVar[str] = "collect_payouts"
    lane: ClassVar[Lane] = Lane.PAYOUTS

    currency: Currency
    minimum_minor: MinimumMinor | None = None
    payout_id: UUID | None = None
    after_seller: UUID = FIRST_SELLER

    def aggregate(self) -> UUID | None:
        """The payout, once there is one."""
        return self.payout_id


class _AboutPayout(Command, frozen=True):
    lane: ClassVar[Lane] = Lane.PAYOUTS
    ordered: ClassVar[bool] = True

    payout_id: UUID

    def aggregate(self) -> UUID:
        """The payout."""
        return self.payout_id


class ApprovePayout(_AboutPayout, frozen=True):
    """Let a payout go to the bank, without those who may not be paid any more."""

    job: ClassVar[str] = "approve_payouts"


class MarkPayoutPaid(_AboutPayout, frozen=True):
    """Book a payout as paid by the bank."""

    job: ClassVar[str] = "mark_payouts_paid"


class MarkPayoutFailed(_AboutPayout, frozen=True):
    """Give what is in a payout, or what is in it for some sellers, back to their balances."""

    job: ClassVar[str] = "mark_payouts_failed"

    failed: FailedPayout


class Payout(Struct, frozen=True):
    """A payout as it stands in its row; ``sellers``, ``orders`` and ``total_minor`` are what was collected."""

    id: UUID
    currency: str
    state: PayoutState
    version: int
    until: datetime
    minimum_minor: int
    after_seller: UUID = FIRST_SELLER
    sellers: int = 0
    orders: int = 0
    total_minor: int = 0
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""


class Due(Struct, frozen=True):
    """A seller order that a payout may take, and what its seller has of it; less than nothing after a refund."""

    order_id: UUID
    seller_no: int
    seller_id: UUID
    balance_minor: int


class Item(Struct, frozen=True):
    """A seller's part of a payout."""

    seller_id: UUID
    amount_minor: int
    orders: int
    state: ItemState = ItemState.INCLUDED


class Collected(Struct, frozen=True):
    """What a step takes, the last seller it has looked at, and whether there is more."""

    items: list[Item]
    taken: list[Due]
    after_seller: UUID
    more: bool


class PayoutProgress(Struct, frozen=True):
    """The result of a job about a payout: how it stands, and whether something of it is still to be booked."""

    payout_id: UUID
    state: PayoutState
    sellers: int
    orders: int
    total: Money
    more: bool


class PayoutCollected(Struct, frozen=True):
    """The event: what has been collected waits for approval."""

    currency: str
    until: datetime
    sellers: int
    orders: int
    total_minor: int


class PayoutApproved(Struct, frozen=True):
    """The event: it may go to the bank, all but what was withdrawn."""

    sellers: int
    amount_minor: int
    withdrawn: int


class PayoutPaid(Struct, frozen=True):
    """The event: the bank has paid."""

    sellers: int
    amount_minor: int


class PayoutFailed(Struct, frozen=True):
    """The event: it wasn't paid, whole or for the sellers named, and is in their balances again."""

    sellers: tuple[UUID, ...] | None
    reason: str


def next_state(state: PayoutState, step: PayoutStep) -> PayoutState | Rejection:
    """The state a step leads a payout to, or a 409 that names the state and what is allowed from it."""
    return follow(PAYOUT, state, step, thing="the payout", code=Code.PAYOUT_STATE)


def collect(due: Sequence[Due], payable_sellers: Collection[UUID], minimum_minor: int, *, limit: int) -> Collected:
    """Choose what a payout takes of what is due, which comes by seller and of which there may be more.

    A seller is taken with all that is due, negative balances included, or with nothing: whose sum is below the minimum,
    and who can't be paid, is carried over. A seller of whom there is more than a step takes is taken in part.
    """
    groups = [(seller, list(found)) for seller, found in groupby(due, key=attrgetter("seller_id"))]
    more = len(due) >= limit
    if more and len(groups) > 1:
        # The last seller's orders may be cut off: they are looked at whole by the next step.
        groups.pop()
    items, taken = [], []
    for seller, found in groups:
        amount = sum(each.balance_minor for each in found)
        if seller in payable_sellers and amount >= minimum_minor:
            items.append(Item(seller, amount, len(found)))
            taken += found
    return Collected(items, taken, groups[-1][0] if groups else FIRST_SELLER, more)


def withdrawals(items: Sequence[Item], disputed: Collection[UUID], unpayable: Collection[UUID]) -> dict[UUID, str]:
    """Whom an approval leaves out, and why."""
    reasons = {**dict.fromkeys(unpayable, UNPAYABLE), **dict.fromkeys(disputed, DISPUTED)}
    return {item.seller_id: reasons[item.seller_id] for item in items if item.seller_id in reasons}


def first_of(items: Sequence[Item], *, orders: int = STEP_ORDERS, sellers: int = STEP_SELLERS) -> list[Item]:
    """As many parts as a step books: the first one, and those that fit beside it."""
    fitting: list[Item] = []
    for item in items[:sellers]:
        orders -= item.orders
        if fitting and orders < 0:
            break
        fitting.append(item)
    return fitting


def postings_of(payout_id: UUID, currency: str, items: Sequence[Item], kind: PostingKind) -> list[Posting]:
    """What a step books: a posting for each seller, that has the same cause whatever happens to the part."""
    found: list[Posting] = []
    for item in items:
        debit, credit = _sides(item, kind)
        transfer = Transfer(debit, credit, item.amount_minor)
        found += posting(kind, ids.joint(payout_id, item.seller_id), None, currency, [transfer])
    return found


def _sides(item: Item, kind: PostingKind) -> tuple[Side, Side]:
    payouts, bank = Side(LedgerAccount.PAYOUTS), Side(LedgerAccount.BANK)
    match kind:
        case PostingKind.PAYOUT:
            return payable(item.seller_id), payouts
        case PostingKind.PAYOUT_PAID:
            return payouts, bank
        case PostingKind.PAYOUT_FAILED:
            return bank if item.state is ItemState.PAID else payouts, payable(item.seller_id)
        case _:
            raise ValueError(f"{kind} is not about payouts")


def refuse_failing(found: Sequence[Item], named: Collection[UUID], state: PayoutState) -> Rejection | None:
    """Why the parts of some sellers can't be marked failed; None when they can."""
    may = ItemState.PAID if state is PayoutState.PAID else ItemState.INCLUDED
    fitting = {item.seller_id for item in found if item.state is may}
    wrong = next((seller for seller in named if seller not in fitting), None)
    if wrong is not None:
        state_of = next((item.state.value for item in found if item.seller_id == wrong), "not in the payout")
        detail = f"the seller {wrong} is {state_of}; of this payout what is {may.value} may be marked failed"
        return Rejection(409, Code.PAYOUT_STATE, detail, "sellers")
    if sum(item.orders for item in found) > 5 * STEP_ORDERS:
        detail = f"these sellers have more than {5 * STEP_ORDERS} seller orders in it: name fewer at a time"
        return Rejection(422, Code.LIMIT_REACHED, detail, "sellers")
    return None
