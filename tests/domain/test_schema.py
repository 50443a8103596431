"""Schemas: which values a category's products may have, and the same said as JSON Schema."""

import json
from datetime import date
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.catalog.schema import (
    CHOICES_MAX,
    MULTI_CHOICE_MAX,
    NUMBER_MAX,
    TEXT_LENGTH_MAX,
    Attribute,
    AttributeKind,
    Schema,
    Values,
    check,
    to_json_schema,
)
from domain.rejections import Code
from tests.domain.strategies import laws, make_id

CODES = ("size", "weight", "colour", "released", "washable")
CHOICES = ("S", "M", "L", "", "1", "true")


def attribute(code: str = "size", kind: AttributeKind = AttributeKind.TEXT, **more: Any) -> Attribute:
    choices = more.pop("choices", ("S", "M") if kind in {AttributeKind.CHOICE, AttributeKind.MULTI_CHOICE} else ())
    fields = {"name": code, "unit": None, "required": False, "variant_making": False, **more}
    return Attribute(id=make_id(1), code=code, kind=kind, choices=choices, **fields)


def schema_of(*attributes: Attribute) -> Schema:
    return Schema(make_id(0), attributes)


@st.composite
def _attributes(draw: st.DrawFn, code: str) -> Attribute:
    kind = draw(st.sampled_from(AttributeKind))
    chosen = kind in {AttributeKind.CHOICE, AttributeKind.MULTI_CHOICE}
    return attribute(
        code,
        kind,
        unit=draw(st.sampled_from([None, "kg"])),
        required=draw(st.booleans()),
        choices=tuple(draw(st.lists(st.sampled_from(CHOICES), min_size=1, unique=True))) if chosen else (),
        variant_making=kind is AttributeKind.CHOICE and draw(st.booleans()),
    )


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    codes = draw(st.lists(st.sampled_from(CODES), unique=True, max_size=4))
    return schema_of(*(draw(_attributes(code)) for code in codes))


_numbers = (
    st.integers(-3, 3)
    | st.sampled_from([NUMBER_MAX, -NUMBER_MAX, NUMBER_MAX + 1, -NUMBER_MAX - 1, 1e15, 1.0000000000000002e15, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
)
_days = st.dates().map(str) | st.sampled_from(
    [
        "2024-02-29",
        "2023-02-29",
        "1900-02-29",
        "2000-02-29",
        "0000-01-01",
        "2024-2-1",
        "20240201",
        "2024-01-01\n",
        "\u0662\u0660\u0662\u0664-01-01",
    ]
)
_texts = st.text(max_size=5) | _days | st.sampled_from([*CHOICES, "x" * TEXT_LENGTH_MAX, "x" * (TEXT_LENGTH_MAX + 1)])
_lists = st.lists(st.sampled_from([*CHOICES, "XXL"]), max_size=4)
_any_values = st.booleans() | _numbers | _texts | _lists


def _good_values(attribute: Attribute) -> st.SearchStrategy[Any]:
    """Mostly what the attribute takes: else hardly any set of values would be accepted whole."""
    match attribute.kind:
        case AttributeKind.TEXT:
            return st.text(min_size=1, max_size=5)
        case AttributeKind.NUMBER:
            return _numbers
        case AttributeKind.BOOLEAN:
            return st.booleans()
        case AttributeKind.DATE:
            return _days
        case AttributeKind.CHOICE if not attribute.variant_making:
            return st.sampled_from(attribute.choices)
        case _:
            return st.lists(st.sampled_from(attribute.choices), min_size=1, unique=True)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Schema, dict[str, Any]]:
    schema = draw(schemas())
    values = {
        attribute.code: draw(_good_values(attribute) if draw(st.integers(0, 7)) else _any_values)
        for attribute in schema.attributes
        if draw(st.integers(0, 7))
    }
    if draw(st.integers(0, 9)) == 0:
        values["unheard_of"] = draw(_any_values)
    return schema, values


def accepts(schema: Schema, values: dict[str, Any], **more: Any) -> bool:
    # As a client has both: read from JSON.
    described, sent = (json.loads(msgspec.json.encode(thing)) for thing in (to_json_schema(schema), values))
    jsonschema.Draft202012Validator.check_schema(described)
    return bool(jsonschema.Draft202012Validator(described, **more).is_valid(sent))


@laws(1500)
@given(cases())
@example((schema_of(attribute(kind=AttributeKind.DATE)), {"size": "2024-01-01\n"}))
@example((schema_of(attribute(kind=AttributeKind.NUMBER)), {"size": True}))
@example((schema_of(attribute(kind=AttributeKind.BOOLEAN)), {"size": 1}))
def test_a_complete_set_of_values_is_accepted_exactly_when_the_json_schema_accepts_it(case):
    schema, values = case
    accepted = check(schema, values, complete=True) is None
    assert accepts(schema, values) is accepted
    assert accepts(schema, values, format_checker=jsonschema.FormatChecker()) is accepted, "formats change nothing"


@laws()
@given(cases())
def test_an_incomplete_set_is_accepted_when_only_required_values_are_missing(case):
    schema, values = case
    optional = schema_of(*(msgspec.structs.replace(a, required=False) for a in schema.attributes))
    assert check(schema, values, complete=False) == check(optional, values, complete=True)


@laws()
@given(cases())
def test_a_fault_names_its_attribute(case):
    schema, values = case
    rejection = check(schema, values, complete=True)
    if rejection is not None:
        assert (rejection.status, rejection.code) == (422, Code.ATTRIBUTE_INVALID)
        code = (rejection.path or "").removeprefix("attributes.")
        assert code in values or code in {a.code for a in schema.attributes if a.required}
        without = {name: value for name, value in values.items() if name == code}
        alone = schema_of(*(a for a in schema.attributes if a.code == code))
        assert check(alone, without, complete=True) == rejection, "it is at fault by itself"


@laws()
@given(st.dates() | st.none(), st.text("0123456789-/ ", max_size=10))
def test_a_date_is_a_day_of_the_calendar_as_python_knows_it(day, other):
    schema = schema_of(attribute("released", AttributeKind.DATE))
    if day is not None:
        assert check(schema, {"released": day.isoformat()}, complete=True) is None
    try:
        real = date.fromisoformat(other).isoformat() == other
    except ValueError:
        real = False
    assert (check(schema, {"released": other}, complete=True) is None) is real


def test_every_day_of_every_kind_of_year_is_a_date_and_no_other():
    schema = schema_of(attribute("released", AttributeKind.DATE))
    for year in (1, 4, 100, 400, 1900, 2000, 2023, 2024, 9996, 9999):
        for month in range(14):
            for day in range(33):
                text = f"{year:04}-{month:02}-{day:02}"
                try:
                    real = bool(date(year, month, day))
                except ValueError:
                    real = False
                assert (check(schema, {"released": text}, complete=True) is None) is real, text


KINDS = {
    AttributeKind.TEXT: (["a", "x" * TEXT_LENGTH_MAX], ["", "x" * (TEXT_LENGTH_MAX + 1), 1, True, ["a"]]),
    AttributeKind.NUMBER: (
        [0, -1.5, 1e-9, NUMBER_MAX, -NUMBER_MAX],
        ["1", True, NUMBER_MAX + 1, float("nan"), float("inf"), -float("inf"), ["1"]],
    ),
    AttributeKind.BOOLEAN: ([True, False], [0, 1, "true", ["true"]]),
    AttributeKind.CHOICE: (["S"], ["s", "XXL", "", ["S"], 1]),
    AttributeKind.MULTI_CHOICE: ([["S"], ["M", "S"]], [[], ["S", "S"], ["XXL"], "S"]),
    AttributeKind.DATE: (["2024-02-29"], ["2023-02-29", "2024-02-29T00:00:00Z", "29.02.2024", "", 20240229]),
}


@pytest.mark.parametrize("kind", AttributeKind)
def test_a_kind_takes_its_own_values_and_no_others(kind):
    good, bad = KINDS[kind]
    schema = schema_of(attribute(kind=kind))
    assert [value for value in good if check(schema, {"size": value}, complete=True) is not None] == []
    assert [value for value in bad if check(schema, {"size": value}, complete=True) is None] == []


def test_a_product_has_a_list_of_choices_for_what_makes_its_variants():
    schema = schema_of(attribute(kind=AttributeKind.CHOICE, variant_making=True))
    assert check(schema, {"size": ["S", "M"]}, complete=True) is None
    for bad in ("S", [], ["S", "S"], ["S", "XXL"]):
        assert check(schema, {"size": bad}, complete=True) is not None, bad


def test_what_makes_variants_may_have_all_its_choices_and_a_multi_choice_a_hundred():
    choices = tuple(str(n) for n in range(CHOICES_MAX))
    variants = schema_of(attribute(kind=AttributeKind.CHOICE, variant_making=True, choices=choices))
    assert check(variants, {"size": list(choices)}, complete=True) is None
    several = schema_of(attribute(kind=AttributeKind.MULTI_CHOICE, choices=choices))
    assert check(several, {"size": list(choices[:MULTI_CHOICE_MAX])}, complete=True) is None
    assert check(several, {"size": list(choices[: MULTI_CHOICE_MAX + 1])}, complete=True) is not None


def test_a_required_attribute_is_asked_for_only_of_what_is_complete():
    schema = schema_of(attribute("weight", AttributeKind.NUMBER, required=True))
    assert check(schema, {}, complete=False) is None
    rejection = check(schema, {}, complete=True)
    assert rejection is not None
    assert rejection.path == "attributes.weight"


def test_values_are_read_from_json_by_their_own_types():
    sent = {"a": True, "b": 1, "c": 1.5, "d": "x", "e": ["x", "y"]}
    read = msgspec.json.decode(msgspec.json.encode(sent), type=Values)
    assert read == sent
    assert [type(value) for value in read.values()] == [bool, int, float, str, list]


@pytest.mark.parametrize(
    "body", ['{"a": null}', '{"a": {}}', '{"a": [1]}', '{"a": 1e400}', '{"a": 99999999999999999999}']
)
def test_what_is_no_value_at_all_isnt_read(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Values)
