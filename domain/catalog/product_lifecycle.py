"""What state a product is in, and what may happen to it from there.

Invariant: the table is total: each state lists every step that may be taken from it, and what isn't listed is refused
with what is.
"""

from collections.abc import Mapping
from enum import StrEnum

from domain.rejections import Code, Rejection


class ProductStatus(StrEnum):
    """Where a product stands. Buyers see active ones only."""

    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    REJECTED = "rejected"
    APPROVED = "approved"
    ACTIVE = "active"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


class Step(StrEnum):
    """What somebody does to a product, in the past tense of the refusal's sentence."""

    EDIT = "edited"
    SUBMIT = "submitted"
    APPROVE = "approved"
    REJECT = "rejected"
    ACTIVATE = "activated"
    DEACTIVATE = "deactivated"
    ARCHIVE = "archived"


NEXT: Mapping[ProductStatus, Mapping[Step, ProductStatus]] = {
    ProductStatus.DRAFT: {Step.EDIT: ProductStatus.DRAFT, Step.SUBMIT: ProductStatus.PENDING_APPROVAL},
    ProductStatus.PENDING_APPROVAL: {Step.APPROVE: ProductStatus.APPROVED, Step.REJECT: ProductStatus.REJECTED},
    ProductStatus.REJECTED: {Step.EDIT: ProductStatus.DRAFT},
    ProductStatus.APPROVED: {Step.EDIT: ProductStatus.APPROVED, Step.ACTIVATE: ProductStatus.ACTIVE},
    ProductStatus.ACTIVE: {Step.EDIT: ProductStatus.ACTIVE, Step.DEACTIVATE: ProductStatus.INACTIVE},
    ProductStatus.INACTIVE: {
        Step.EDIT: ProductStatus.INACTIVE,
        Step.ACTIVATE: ProductStatus.ACTIVE,
        Step.ARCHIVE: ProductStatus.ARCHIVED,
    },
    ProductStatus.ARCHIVED: {},
}


def next_state(status: ProductStatus, step: Step) -> ProductStatus | Rejection:
    """The state a step leads to, or a 409 that names the state and what may be done from it."""
    allowed = NEXT[status]
    if step in allowed:
        return allowed[step]
    may = f"it may be {' or '.join(step.value for step in allowed)}" if allowed else "nothing follows"
    detail = f"the product is {status.value} and can't be {step.value}; from there {may}"
    return Rejection(409, Code.PRODUCT_STATE, detail)
