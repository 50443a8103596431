"""Inheritance: a category has its own attributes and those of the categories above it, each once."""

from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.inheritance import Assignment, effective
from domain.catalog.schema import Attribute, AttributeKind
from tests.domain.strategies import laws, make_id

ROOT, SHELF, HERE = (make_id(n) for n in range(3))
PATH = (ROOT, SHELF, HERE)
CODES = ("brand", "colour", "size", "weight")


def attribute(code: str, *, required: bool = False) -> Attribute:
    return Attribute(
        make_id(100 + CODES.index(code)), code, code.title(), AttributeKind.TEXT, None, required, (), False
    )


def assign(category, code: str, *, required: bool | None = None, position: int = 0) -> Assignment:
    return Assignment(category, PATH.index(category) + 1, required, position, attribute(code))


assignments = st.lists(
    st.builds(
        assign,
        st.sampled_from(PATH),
        st.sampled_from(CODES),
        required=st.sampled_from([None, True, False]),
        position=st.integers(0, 3),
    ),
    unique_by=lambda a: (a.category_id, a.attribute.code),
    max_size=12,
)


@laws()
@given(assignments, st.randoms())
def test_each_attribute_along_the_path_stands_in_the_schema_once_whatever_the_order(given_, random):
    shuffled = list(given_)
    random.shuffle(shuffled)
    schema = effective(HERE, shuffled)
    assert schema == effective(HERE, given_)
    assert sorted(a.code for a in schema.attributes) == sorted({a.attribute.code for a in given_})


@laws()
@given(assignments)
def test_the_nearest_assignment_that_says_so_decides_what_is_required(given_):
    for found in effective(HERE, given_).attributes:
        said = [a for a in sorted(given_, key=lambda a: a.depth) if a.attribute.code == found.code]
        decided = [a.required for a in said if a.required is not None]
        assert found.required is (decided[-1] if decided else said[0].attribute.required)
        assert found.inherited_from == (None if said[-1].category_id == HERE else said[-1].category_id)


@laws()
@given(assignments)
def test_attributes_come_by_the_position_of_the_nearest_assignment_then_by_code(given_):
    nearest = {a.attribute.code: a.position for a in sorted(given_, key=lambda a: a.depth)}
    shown = [(nearest[a.code], a.code) for a in effective(HERE, given_).attributes]
    assert shown == sorted(shown)


def test_a_category_below_may_ask_for_what_one_above_leaves_open():
    schema = effective(HERE, [assign(ROOT, "brand", position=2), assign(HERE, "brand", required=True, position=1)])
    assert [(a.code, a.required, a.inherited_from) for a in schema.attributes] == [("brand", True, None)]


def test_what_a_category_above_requires_stays_required_below():
    schema = effective(HERE, [assign(ROOT, "brand", required=True), assign(SHELF, "brand", position=5)])
    assert [(a.code, a.required, a.inherited_from) for a in schema.attributes] == [("brand", True, SHELF)]


def test_a_category_without_assignments_has_an_empty_schema():
    assert effective(HERE, []).attributes == ()
