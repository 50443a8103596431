"""The command that ends promotions whose time is over and holds what was counted against what was redeemed."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.journal.model import Command, Lane

FIRST = UUID(int=0)


class SweepPromotions(Command, frozen=True):
    """End what is over, and compare the promotions that come ``after`` one by id: all of them, step by step."""

    job: ClassVar[str] = "sweep_promotions"
    lane: ClassVar[Lane] = Lane.SWEEPS

    after: UUID = FIRST


class UsesDiffer(Struct, frozen=True):
    """A promotion whose counters don't say what its redemptions do: in all, and of its users added up."""

    promotion_id: UUID
    counted: int
    redeemed: int
    counted_of_users: int
    redeemed_of_users: int


class SweptPromotions(Struct, frozen=True):
    """The result of a step: how many promotions it ended, which ones are counted wrong, whether there is more."""

    ended: int
    differing: tuple[UsesDiffer, ...]
    more: bool
