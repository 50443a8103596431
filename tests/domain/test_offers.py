"""What becomes of an offer when its terms change."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ids
from domain.catalog.offers import (
    OfferFacts,
    OfferState,
    OfferTerms,
    PriceChanged,
    WantedOffer,
    check_terms,
    decide,
    end,
)
from domain.money import Money
from tests.domain.strategies import NOW, laws, make_id

ACTOR = make_id(9)
KEY = (make_id(1), make_id(2))
TERMS = OfferTerms("SKU", Money(500, "USD"))

moments = st.none() | st.integers(-3, 3).map(lambda days: NOW + timedelta(days=days))
terms = st.builds(
    OfferTerms,
    sku=st.sampled_from(["A", "B"]),
    price=st.builds(Money, st.integers(0, 3), st.sampled_from(["USD", "EUR"])),
    active=st.booleans(),
    valid_from=moments,
    valid_until=moments,
    quantity_max=st.none() | st.integers(1, 3),
)


def decided(wanted: OfferTerms, standing: OfferTerms | None, version: int = 1) -> Any:
    states = {} if standing is None else {KEY: OfferState(standing, version)}
    return decide([WantedOffer(*KEY, wanted)], states, actor=ACTOR, correlation="c")


@laws()
@given(terms, st.none() | terms, st.integers(1, 9))
def test_each_change_is_one_version_and_one_event_that_tells_the_terms(wanted, standing, version):
    plan = decided(wanted, standing, version)
    if standing == wanted:
        assert (plan.new, plan.changed, plan.events) == ([], [], [])
        return
    offer = WantedOffer(*KEY, wanted)
    assert (plan.new, plan.changed) == (([offer], []) if standing is None else ([], [(offer, version + 1)]))
    (event,) = plan.events
    assert (event.stream, event.actor, event.correlation) == (ids.offer_stream(*KEY), ACTOR, "c")
    assert event.version == (1 if standing is None else version + 1)
    data = msgspec.json.decode(event.data)
    assert (data["price_minor"], data["currency"]) == (wanted.price.amount, wanted.price.currency)
    if event.type == "offer.price_changed":
        assert set(data) == set(PriceChanged.__struct_fields__)
        assert msgspec.structs.replace(wanted, price=standing.price) == standing
        assert data["before_minor"] == standing.price.amount
    else:
        assert event.type == ("offer.created" if standing is None else "offer.changed")
        facts = msgspec.json.decode(event.data, type=OfferFacts)
        assert (facts.sku, facts.active, facts.quantity_max) == (wanted.sku, wanted.active, wanted.quantity_max)
        assert (facts.valid_from, facts.valid_until) == (wanted.valid_from, wanted.valid_until)


def test_another_currency_is_more_than_another_price():
    (event,) = decided(OfferTerms("SKU", Money(500, "EUR")), TERMS).events
    assert event.type == "offer.changed"


def test_an_offer_that_ends_keeps_its_terms():
    plan = end(KEY, OfferState(TERMS, 4), actor=ACTOR, correlation="c")
    assert plan.changed == [(WantedOffer(*KEY, msgspec.structs.replace(TERMS, active=False)), 5)]
    (event,) = plan.events
    assert (event.type, event.version) == ("offer.ended", 5)


def test_an_offer_ends_once():
    plan = end(KEY, OfferState(msgspec.structs.replace(TERMS, active=False), 5), actor=ACTOR, correlation="c")
    assert (plan.changed, plan.events) == ([], [])


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"valid_from": NOW, "valid_until": NOW}, "valid_until"),
        ({"valid_from": NOW, "valid_until": NOW - timedelta(days=1)}, "valid_until"),
        ({"quantity_window_seconds": 60}, "quantity_window_seconds"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(change, path):
    fault = check_terms(msgspec.structs.replace(TERMS, **change))
    assert fault is not None
    assert (fault.status, fault.path) == (400, path)


def test_terms_that_agree_are_not():
    assert check_terms(TERMS) is None
    later = NOW + timedelta(microseconds=1)
    whole = {"valid_from": NOW, "valid_until": later, "quantity_max": 2, "quantity_window_seconds": 60}
    assert check_terms(msgspec.structs.replace(TERMS, **whole)) is None


@pytest.mark.parametrize("sku", ["", " A", "A ", "A\n", "A" * 101])
def test_a_sku_is_1_to_100_characters_without_spaces_around(sku):
    body = msgspec.json.encode({"sku": sku, "price": {"amount": 1, "currency": "USD"}})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=OfferTerms)
