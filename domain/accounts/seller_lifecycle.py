"""A seller's way: ``applied`` -> ``approved`` or ``rejected``; ``approved`` <-> ``suspended``. Only approved ones sell.

Rejected is an end: who wants to try again applies anew, as another seller, so that what was decided stays as it was.
"""

from collections.abc import Mapping
from enum import StrEnum

from domain.accounts.model import SellerStatus
from domain.rejections import Code, Rejection


class Review(StrEnum):
    """What an admin may decide about a seller."""

    APPROVE = "approve"
    REJECT = "reject"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


TRANSITIONS: Mapping[SellerStatus, Mapping[Review, SellerStatus]] = {
    SellerStatus.APPLIED: {Review.APPROVE: SellerStatus.APPROVED, Review.REJECT: SellerStatus.REJECTED},
    SellerStatus.APPROVED: {Review.SUSPEND: SellerStatus.SUSPENDED},
    SellerStatus.REJECTED: {},
    SellerStatus.SUSPENDED: {Review.REINSTATE: SellerStatus.APPROVED},
}
"""What is allowed from each state; it names every one."""


def next_state(status: SellerStatus, review: Review) -> SellerStatus | Rejection:
    """The state a decision leads to, or a 409 that names the state and what is allowed from it."""
    allowed = TRANSITIONS[status]
    if review in allowed:
        return allowed[review]
    ways = " or ".join(way.value for way in allowed) or "nothing"
    return Rejection(409, Code.SELLER_STATE, f"the seller is {status.value}: allowed from there is {ways}")
