"""The ledger: double entry, in minor units of one currency a posting.

Invariant: a posting is made of transfers, each of which takes from one account what it gives to another, so it sums to
zero however it is put together. The database checks the same when it commits.
"""

from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

from msgspec import Struct


class LedgerAccount(StrEnum):
    """The chart of accounts. Debits are positive, credits negative."""

    GATEWAY_CLEARING = "gateway_clearing"
    """money at a gateway: its owner is the gateway"""
    SELLER_PAYABLE = "seller_payable"
    """what a seller is owed: its owner is the seller"""
    COMMISSION_REVENUE = "commission_revenue"
    PROMOTION_COST = "promotion_cost"
    """the platform's share of discounts"""
    REFUNDS = "refunds"
    """what buyers are owed: captured for nothing (or nothing any more), until their gateway has given it back"""
    TAX = "tax"
    SHIPPING = "shipping"
    """what buyers paid for shipping, on its way to the sellers"""
    CHARGEBACKS = "chargebacks"
    """what banks took back at the platform's expense"""
    PAYOUTS = "payouts"
    """taken out of sellers' balances and not yet paid"""
    BANK = "bank"
    """the platform's own bank account, that sellers are paid from"""


class PostingKind(StrEnum):
    """What a posting is about; with its cause it names the posting."""

    CAPTURE = "capture"
    SALE = "sale"
    PROMOTION_COST = "promotion_cost"
    TAX = "tax"
    SHIPPING = "shipping"
    COMMISSION = "commission"
    COMMISSION_REVERSAL = "commission_reversal"
    REFUND = "refund"
    REFUND_PAID = "refund_paid"
    CHARGEBACK = "chargeback"
    CHARGEBACK_WON = "chargeback_won"
    CHARGEBACK_LOST = "chargeback_lost"
    PAYOUT = "payout"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_FAILED = "payout_failed"


class Side(Struct, frozen=True):
    """One side of a transfer. ``seller_no`` says of which seller order of the posting's order a seller is owed it."""

    account: LedgerAccount
    owner: str = ""
    seller_no: int | None = None


class Transfer(Struct, frozen=True):
    """Take an amount above zero from the account ``credit`` and give it to the account ``debit``."""

    debit: Side
    credit: Side
    amount_minor: int


class Posting(Struct, frozen=True):
    """What one cause moves, once; ``order_id`` is the order it is about, if it is about one."""

    kind: PostingKind
    cause_id: UUID
    order_id: UUID | None
    currency: str
    transfers: tuple[Transfer, ...]

    def entries(self) -> list[tuple[Side, int]]:
        """What each account gets in all, in the order in which accounts first occur; none that gets nothing."""
        sums: dict[Side, int] = {}
        for transfer in self.transfers:
            sums[transfer.debit] = sums.get(transfer.debit, 0) + transfer.amount_minor
            sums[transfer.credit] = sums.get(transfer.credit, 0) - transfer.amount_minor
        return [(side, amount) for side, amount in sums.items() if amount]


def posting(
    kind: PostingKind, cause_id: UUID, order_id: UUID | None, currency: str, transfers: Iterable[Transfer]
) -> list[Posting]:
    """A posting of the transfers that move something; none when nothing moves."""
    moving = tuple(transfer for transfer in transfers if transfer.amount_minor)
    if any(transfer.amount_minor < 0 for transfer in moving):
        raise ValueError("a transfer moves an amount above zero: turn it round")
    return [Posting(kind, cause_id, order_id, currency, moving)] if moving else []


def payable(seller_id: UUID, seller_no: int | None = None) -> Side:
    """What a seller is owed, of one of their seller orders if one is named."""
    return Side(LedgerAccount.SELLER_PAYABLE, str(seller_id), seller_no)


def clearing(gateway: str) -> Side:
    """Money at a gateway."""
    return Side(LedgerAccount.GATEWAY_CLEARING, gateway)
