"""What each line of a confirmed order pays: worked out once, on the price that is final then.

Invariant: the rule and its terms are those frozen at placing; every rule that covered the line then is named with the
reason why it lost. Base and amount: the line's total after what its seller gave off, before tax.
"""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.journal.model import Command, Lane
from domain.pricing.commission import CommissionTerms, ConsideredRule, commission_on


class SnapshotCommissions(Command, frozen=True):
    """Work out the commission of a confirmed order's lines."""

    job: ClassVar[str] = "snapshot_commissions"
    lane: ClassVar[Lane] = Lane.PRICING
    ordered: ClassVar[bool] = True

    order_id: UUID

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 10

    def aggregate(self) -> UUID:
        """The order."""
        return self.order_id


class Snapshot(Struct, frozen=True):
    """What a line pays; amounts in minor units of the order's currency."""

    order_id: UUID
    line_no: int
    seller_id: UUID
    rule_id: UUID | None
    base_minor: int
    amount_minor: int
    currency: str
    considered: tuple[ConsideredRule, ...]


def base_of(net_minor: int, platform_discount_minor: int, tax_minor: int, added_tax_minor: int) -> int:
    """What commission is reckoned on.

    What the platform gave off is the seller's all the same; tax that prices hold isn't.
    """
    return max(0, net_minor + platform_discount_minor - (tax_minor - added_tax_minor))


def amount_of(rule_id: UUID | None, terms: CommissionTerms, base_minor: int, quantity: int) -> int:
    """What a line pays; nothing without a rule."""
    return 0 if rule_id is None else commission_on(base_minor, quantity, terms)
