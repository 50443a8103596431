"""Edits of attributes: what contradicts itself, and what use has settled."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.attribute_edit import AttributeUse, ValueUse, check_change, check_form, check_losers, check_unused
from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import AttributeEdit
from domain.rejections import Code
from tests.domain.strategies import laws

edits = st.builds(
    AttributeEdit,
    code=st.sampled_from(["size", "brand"]),
    name=st.sampled_from(["A", "B"]),
    kind=st.sampled_from(AttributeKind),
    unit=st.sampled_from([None, "kg"]),
    required=st.booleans(),
    choices=st.lists(st.sampled_from("SML"), max_size=4).map(tuple),
    variant_making=st.booleans(),
)
good_edits = edits.filter(lambda edit: check_form(edit) is None)


@laws()
@given(edits)
def test_choices_belong_to_kinds_that_choose_each_once_and_variants_to_a_choice(edit):
    chooses = edit.kind in {AttributeKind.CHOICE, AttributeKind.MULTI_CHOICE}
    fine = (
        bool(edit.choices) is chooses
        and len(set(edit.choices)) == len(edit.choices)
        and (edit.kind is AttributeKind.CHOICE or not edit.variant_making)
    )
    rejection = check_form(edit)
    assert (rejection is None) is fine
    assert rejection is None or (rejection.status, rejection.code) == (400, Code.INVALID_REQUEST)


@laws()
@given(good_edits, good_edits)
def test_what_nobody_uses_may_become_anything(before, after):
    assert check_change(before, after, AttributeUse(0)) is None


@laws()
@given(good_edits, good_edits)
def test_what_a_category_asks_for_keeps_its_code_its_kind_and_whether_it_makes_variants(before, after):
    settled = [field for field in ("code", "kind", "variant_making") if getattr(before, field) != getattr(after, field)]
    rejection = check_change(before, after, AttributeUse(1))
    assert (rejection is None) is (not settled)
    if rejection is not None:
        assert (rejection.status, rejection.code, rejection.path) == (409, Code.ATTRIBUTE_IN_USE, settled[0])


@laws()
@given(good_edits)
def test_names_requirements_and_more_choices_are_never_settled(edit):
    more = {"choices": (*edit.choices, "XXL")} if edit.choices else {}
    after = msgspec.structs.replace(edit, name="C", required=not edit.required, **more)
    assert check_change(edit, after, AttributeUse(3)) is None


@laws()
@given(good_edits, st.sampled_from([None, "g"]), st.integers(0, 2), st.integers(0, 2))
def test_the_unit_of_values_is_settled(edit, unit, products, variants):
    use = AttributeUse(1, values=ValueUse(products, variants))
    rejection = check_change(edit, msgspec.structs.replace(edit, unit=unit), use)
    assert (rejection is None) is (unit == edit.unit or products == variants == 0)
    assert rejection is None or (rejection.code, rejection.path) == (Code.ATTRIBUTE_IN_USE, "unit")


@given(st.integers(0, 2), st.integers(0, 2))
def test_choices_that_values_hold_dont_go(products, variants):
    before = AttributeEdit("size", "Size", AttributeKind.CHOICE, choices=("S", "M", "L"))
    after = msgspec.structs.replace(before, choices=("L",))
    rejection = check_change(before, after, AttributeUse(1, gone=ValueUse(products, variants)))
    assert (rejection is None) is (products == variants == 0)
    if rejection is not None:
        assert (rejection.code, rejection.path) == (Code.ATTRIBUTE_IN_USE, "choices")
        assert rejection.detail.endswith("choices that would go (S, M)")


def test_attributes_that_products_have_values_for_arent_taken_away():
    assert check_losers(0, []) is None
    rejection = check_losers(2, ["size", "brand"])
    assert rejection is not None
    assert (rejection.status, rejection.code) == (409, Code.ATTRIBUTE_IN_USE)
    assert rejection.detail == "2 products have values for what the category would ask for no more: brand, size"


def test_what_is_used_isnt_deleted():
    assert check_unused(AttributeUse(0)) is None
    rejection = check_unused(AttributeUse(2))
    assert rejection is not None
    assert (rejection.status, rejection.code) == (409, Code.ATTRIBUTE_IN_USE)
    assert rejection.detail == "2 categories ask for it"
