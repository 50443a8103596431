"""Promotions against an oracle written from the prose: who applies, what each takes off where, and why others don't."""

from hypothesis import given

from domain.pricing.promotion_model import FreeShipping
from tests.domain.pricing_builders import priced
from tests.domain.pricing_strategies import worlds
from tests.domain.promotion_oracle import compete, may_compete
from tests.domain.strategies import laws

_small = worlds(most=3, units_max=3, promotions_max=7)


def _competing(world):
    return [each for each in world.promotions if may_compete(each, world)]


@laws(600)
@given(_small)
def test_what_each_promotion_takes_off_is_the_oracles(world):
    taken, _ = compete(_competing(world), world)
    version = priced(world.book, world.order, world.usage)
    assert {each.promotion_id: dict(each.lines or each.shipping) for each in version.applied} == taken
    in_lines = {id_ for id_ in taken if not isinstance(_by_id(world)[id_].content.benefit, FreeShipping)}
    assert {each.promotion_id for each in version.applied if each.lines} == in_lines


@laws(400)
@given(_small)
def test_why_a_promotion_that_competes_takes_nothing_off_is_what_the_oracle_says(world):
    competing = _competing(world)
    _, reasons = compete(competing, world)
    version = priced(world.book, world.order, world.usage)
    ids = {each.id for each in competing}
    # A second code of a promotion is told of as well.
    first = {}
    for each in version.promotions:
        if each.promotion_id in ids:
            first.setdefault(each.promotion_id, each.reason)
    assert {id_: reason for id_, reason in first.items() if reason is not None} == reasons


def _by_id(world):
    return {each.id: each for each in world.promotions}
