"""Which variants a product has, what changes one of them, and what a barcode is."""

from math import prod
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.barcode import check_digit, is_gtin
from domain.catalog.schema import Attribute, AttributeKind, Schema
from domain.catalog.variants import Variant, VariantChange, change, combinations
from domain.rejections import Code, Rejection
from tests.domain.strategies import laws, make_id

CODES = ("size", "colour", "cut")
CHOICES = ("a", "b", "c", "d")
MAX = 64


def attribute(code: str, *, choices: tuple[str, ...] = CHOICES, making: bool = True, required: bool = False):
    return Attribute(UUID(int=len(code)), code, code, AttributeKind.CHOICE, None, required, choices, making)


SCHEMA = Schema(make_id(1), (*map(attribute, CODES), attribute("brand", making=False)))
values = st.dictionaries(
    st.sampled_from(CODES), st.lists(st.sampled_from(CHOICES), min_size=1, max_size=4, unique=True)
)


def made(attributes, existing=(), *, schema=SCHEMA, variants_max=MAX):
    found = combinations(schema, attributes, list(existing), variants_max=variants_max)
    assert not isinstance(found, Rejection), found
    return found


def refused(attributes, existing=(), *, schema=SCHEMA, variants_max=MAX):
    found = combinations(schema, attributes, list(existing), variants_max=variants_max)
    assert isinstance(found, Rejection)
    return found


def pairs(found):
    return {frozenset(combination.items()) for combination in found}


@laws()
@given(values)
def test_there_is_one_variant_for_each_combination_of_the_values(attributes):
    found = made(attributes)
    assert len(pairs(found)) == len(found) == prod(map(len, attributes.values()))
    for combination in found:
        assert set(combination) == set(attributes)
        assert all(choice in attributes[code] for code, choice in combination.items())


@laws()
@given(values)
def test_asking_again_makes_nothing(attributes):
    assert made(attributes, made(attributes)) == []


@laws()
@given(values, st.sampled_from(CODES), st.sampled_from(CHOICES))
def test_a_value_added_later_makes_only_what_is_missing(attributes, code, choice):
    before = made(attributes)
    after = {**attributes, code: [*attributes.get(code, []), choice]}
    if choice in attributes.get(code, []):
        after = attributes
    found = made(after, before)
    assert pairs(found) | pairs(before) >= pairs(made(after))
    assert not pairs(found) & pairs(before)
    assert all(combination[code] == choice for combination in found)


@laws()
@given(values, st.data())
def test_whatever_is_there_stays_out_of_what_is_made(attributes, data):
    some = data.draw(st.lists(st.sampled_from(made(attributes)), unique_by=lambda c: frozenset(c.items())))
    assert pairs(made(attributes, some)) == pairs(made(attributes)) - pairs(some)


def test_a_value_taken_away_makes_nothing_and_its_variants_count():
    before = made({"size": ["a", "b", "c"]})
    assert made({"size": ["a", "b"]}, before) == []
    assert refused({"size": ["a", "b", "d"]}, before, variants_max=3).code is Code.TOO_MANY_VARIANTS


def test_the_order_is_the_schemas_and_the_products():
    found = made({"colour": ["b", "a"], "size": ["d", "c"]})
    assert [tuple(c.values()) for c in found] == [("d", "b"), ("d", "a"), ("c", "b"), ("c", "a")]
    assert list(found[0]) == ["size", "colour"]


def test_without_variant_making_values_there_is_one_variant():
    assert made({"brand": "a"}) == [{}]
    assert made({}, [{}]) == []


def test_a_million_variants_are_refused_before_one_is_built():
    choices = tuple(str(n) for n in range(500))
    schema = Schema(make_id(1), tuple(attribute(f"a{n:02}", choices=choices) for n in range(100)))
    found = refused({f"a{n:02}": list(choices) for n in range(100)}, schema=schema, variants_max=1_000)
    assert (found.status, found.code) == (422, Code.TOO_MANY_VARIANTS)
    few = refused({"a00": list(choices[:11]), "a01": list(choices[:10])}, schema=schema, variants_max=100)
    assert "110" in few.detail
    assert "100" in few.detail


def test_values_off_the_schema_make_nothing():
    for value in ("a", ["z"], ["a", "a"], []):
        found = refused({"size": value})
        assert (found.code, found.path) == (Code.ATTRIBUTE_INVALID, "attributes.size")


def test_a_required_attribute_without_values_makes_nothing():
    schema = Schema(make_id(1), (attribute("size", required=True), attribute("colour")))
    assert refused({"colour": ["a"]}, schema=schema).path == "attributes.size"


VARIANT = Variant(make_id(1), make_id(2), {"size": "a"}, barcode="4006381333931", weight_grams=5, version=3)


def test_what_a_change_does_not_name_stays_and_null_takes_away():
    assert change(VARIANT, VariantChange(active=False)) == msgspec.structs.replace(VARIANT, active=False, version=4)
    emptied = msgspec.json.decode(b'{"barcode": null, "weight_grams": null}', type=VariantChange)
    assert change(VARIANT, emptied) == msgspec.structs.replace(VARIANT, barcode=None, weight_grams=None, version=4)


def test_a_change_that_changes_nothing_keeps_the_version():
    assert change(VARIANT, VariantChange()) is VARIANT
    assert change(VARIANT, VariantChange(active=True, barcode="4006381333931", weight_grams=5)).version == 3


def test_a_barcode_with_a_wrong_check_digit_is_refused():
    found = change(VARIANT, VariantChange(barcode="4006381333930"))
    assert isinstance(found, Rejection)
    assert (found.status, found.path) == (400, "barcode")


@pytest.mark.parametrize("barcode", ["96385074", "036000291452", "4006381333931", "10614141000415"])
def test_barcodes_have_8_12_13_or_14_digits(barcode):
    assert is_gtin(barcode)
    assert not is_gtin(barcode[1:] if len(barcode) != 14 else barcode + "0")


@pytest.mark.parametrize("text", ["", "0", "9638507", "96385074\n", " 96385074", "963850\uff174", "9638507a"])
def test_anything_else_is_no_barcode(text):
    assert not is_gtin(text)


@laws()
@given(st.sampled_from([7, 11, 12, 13]).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)), st.data())
def test_a_digit_that_was_misread_is_noticed(digits, data):
    whole = digits + str(check_digit(digits))
    assert is_gtin(whole)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != whole[place]]))
    assert not is_gtin(whole[:place] + other + whole[place + 1 :])
