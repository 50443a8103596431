"""Which counters a use of a promotion goes by: in all, by user, and for those who order for the first time.

Invariant: whether a promotion counts its uses is settled when it becomes active; promotions without a limit have no
counters. All promotions for first orders share one counter for each user, or two of them would make two first orders.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

from domain.pricing.contest import Usage
from domain.pricing.promotion_model import StoredPromotion

ALL_USERS = UUID(int=0)
FIRST_ORDER = UUID("00000000-0000-7000-8000-000000000002")
"""What stands for all promotions for first orders."""

UseKey = tuple[UUID, UUID]
"""(promotion id, user id): what keys a counter. The order is the order of locks."""


def counters_of(promotion: StoredPromotion, buyer: UUID) -> dict[UseKey, int]:
    """The counters that a buyer's use of a promotion goes by, and how far each may go."""
    content = promotion.content
    counters: dict[UseKey, int] = {}
    if content.uses_max is not None:
        counters[promotion.id, ALL_USERS] = content.uses_max
    if content.uses_per_user_max is not None:
        counters[promotion.id, buyer] = content.uses_per_user_max
    if content.first_order:
        counters[FIRST_ORDER, buyer] = 1
    return counters


def keys_of_use(promotion_id: UUID, buyer: UUID, *, first_order: bool) -> list[UseKey]:
    """The counters that a buyer's use of a promotion may go by; those of promotions without a limit aren't there."""
    keys = [(promotion_id, ALL_USERS), (promotion_id, buyer)]
    return [*keys, (FIRST_ORDER, buyer)] if first_order else keys


def usage_of(
    counters: Mapping[UseKey, tuple[int, int]], promotions: Iterable[StoredPromotion], have_ordered: set[UUID]
) -> Usage:
    """Tell limits from counters as they were read: (used, most).

    A counter may allow less than the promotion as it is known here, which somebody else has just changed: what it
    leaves is what counts.
    """
    limits = {promotion.id: promotion.content.uses_max for promotion in promotions}
    usage = Usage({}, {}, set(have_ordered))
    for (promotion_id, user), (used, most) in counters.items():
        if promotion_id == FIRST_ORDER:
            if used >= most:
                usage.has_ordered.add(user)
        elif user == ALL_USERS:
            usage.uses[promotion_id] = (limits.get(promotion_id) or most) - (most - used)
        else:
            usage.uses_by_user[promotion_id, user] = used
    return usage
