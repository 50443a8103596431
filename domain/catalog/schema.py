"""What a category asks of its products: attributes, values held against them, the same as JSON Schema.

Invariant: ``check`` with ``complete`` finds no fault in values from JSON exactly when a validator of JSON Schema
2020-12 accepts them by ``to_json_schema``, whether or not it looks at formats.

A number is a JSON number between -10^15 and 10^15, with the digits an IEEE double holds. A date is a day of the
Gregorian calendar, ``YYYY-MM-DD``. No value is empty: what has no value is left out.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, assert_never
from uuid import UUID

from msgspec import Meta, Struct

from domain.rejections import Code, Rejection

ATTRIBUTES_MAX = 100
"""How many attributes a schema has, inherited ones included."""
CHOICES_MAX = 500
MULTI_CHOICE_MAX = 100
"""How many choices a multi-choice value holds. A variant-making one may hold them all."""
TEXT_LENGTH_MAX = 2_000
CHOICE_LENGTH_MAX = 100
CODE_LENGTH_MAX = 50
NUMBER_MAX = 10**15

# Written so that ECMA-262's and Python's regular expressions read it alike; the length keeps out a final line break.
_DAYS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_LEAP_YEAR = "[0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00"
_DATE = f"^(?!0000)([0-9]{{4}}-({_DAYS})|({_LEAP_YEAR})-02-29)$"
_DATE_LENGTH = len("YYYY-MM-DD")
_date = re.compile(_DATE)


class AttributeKind(StrEnum):
    """What values an attribute has."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    """One of the attribute's choices."""
    MULTI_CHOICE = "multi_choice"
    """A list of distinct choices."""
    DATE = "date"


class Attribute(Struct, frozen=True):
    """An attribute as a category's products meet it.

    A variant-making one is a choice; its value on a product is the list of the choices its variants have.
    ``inherited_from`` is the nearest category above that assigns it; None when the category itself does.
    """

    id: UUID
    code: str
    name: str
    kind: AttributeKind
    unit: str | None
    required: bool
    choices: tuple[str, ...]
    variant_making: bool
    inherited_from: UUID | None = None


class Schema(Struct, frozen=True):
    """A category's effective attributes: its own and those it inherits, in the order they are shown."""

    category_id: UUID
    attributes: tuple[Attribute, ...]


_Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Value = _Text | bool | _Integer | float | Annotated[list[_Text], Meta(max_length=CHOICES_MAX)]
"""A value as it may stand in a body. The bounds that count are ``check``'s, which names the attribute."""

Values = Annotated[dict[Annotated[str, Meta(max_length=CODE_LENGTH_MAX)], Value], Meta(max_length=ATTRIBUTES_MAX)]
"""Values by the codes of their attributes."""


def check(schema: Schema, values: Mapping[str, Value], *, complete: bool) -> Rejection | None:
    """Find the first fault: of the values in their own order, then, if ``complete``, of required ones left out."""
    known = {attribute.code: attribute for attribute in schema.attributes}
    for code, value in values.items():
        attribute = known.get(code)
        fault = "the category has no such attribute" if attribute is None else _fault(attribute, value)
        if fault is not None:
            return _invalid(code, fault)
    if complete:
        for attribute in schema.attributes:
            if attribute.required and attribute.code not in values:
                return _invalid(attribute.code, "the category requires it")
    return None


def _invalid(code: str, fault: str) -> Rejection:
    return Rejection(422, Code.ATTRIBUTE_INVALID, f"{code[:CODE_LENGTH_MAX]}: {fault}", f"attributes.{code[:100]}")


def _fault(attribute: Attribute, value: Value) -> str | None:
    """Say what is wrong with a value; None when nothing is."""
    match attribute.kind:
        case AttributeKind.TEXT:
            fits = isinstance(value, str) and 1 <= len(value) <= TEXT_LENGTH_MAX
            return None if fits else f"a text of 1 to {TEXT_LENGTH_MAX} characters"
        case AttributeKind.NUMBER:
            return None if _is_number(value) else f"a number from -{NUMBER_MAX} to {NUMBER_MAX}"
        case AttributeKind.BOOLEAN:
            return None if isinstance(value, bool) else "true or false"
        case AttributeKind.DATE:
            fits = isinstance(value, str) and len(value) == _DATE_LENGTH and _date.search(value) is not None
            return None if fits else "a day of the calendar, as YYYY-MM-DD"
        case AttributeKind.CHOICE if not attribute.variant_making:
            return None if isinstance(value, str) and value in attribute.choices else "one of its choices"
        case AttributeKind.CHOICE | AttributeKind.MULTI_CHOICE:
            return _list_fault(value, attribute.choices, _choices_max(attribute))
        case _:
            assert_never(attribute.kind)


def _is_number(value: Value) -> bool:
    # To Python a bool is an int. What is infinite or not a number at all compares false.
    return isinstance(value, int | float) and not isinstance(value, bool) and -NUMBER_MAX <= value <= NUMBER_MAX


def _list_fault(value: Value, choices: Sequence[str], count_max: int) -> str | None:
    fits = (
        isinstance(value, list)
        and 1 <= len(value) <= count_max
        and len(set(value)) == len(value)
        and all(choice in choices for choice in value)
    )
    return None if fits else f"a list of 1 to {count_max} of its choices, each once"


def _choices_max(attribute: Attribute) -> int:
    return CHOICES_MAX if attribute.variant_making else MULTI_CHOICE_MAX


def to_json_schema(schema: Schema) -> dict[str, Any]:
    """Say what a complete product's attributes are, in JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {attribute.code: _property(attribute) for attribute in schema.attributes},
        "required": [attribute.code for attribute in schema.attributes if attribute.required],
        "additionalProperties": False,
    }


def _property(attribute: Attribute) -> dict[str, Any]:
    unit = {} if attribute.unit is None else {"description": f"in {attribute.unit}"}
    return {"title": attribute.name, **unit, **_form(attribute)}


def _form(attribute: Attribute) -> dict[str, Any]:
    match attribute.kind:
        case AttributeKind.TEXT:
            return {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}
        case AttributeKind.NUMBER:
            return {"type": "number", "minimum": -NUMBER_MAX, "maximum": NUMBER_MAX}
        case AttributeKind.BOOLEAN:
            return {"type": "boolean"}
        case AttributeKind.DATE:
            # Validators may leave the format alone: the pattern says the same.
            return {"type": "string", "format": "date", "maxLength": _DATE_LENGTH, "pattern": _DATE}
        case AttributeKind.CHOICE if not attribute.variant_making:
            return {"type": "string", "enum": list(attribute.choices)}
        case AttributeKind.CHOICE | AttributeKind.MULTI_CHOICE:
            return {
                "type": "array",
                "items": {"type": "string", "enum": list(attribute.choices)},
                "minItems": 1,
                "maxItems": _choices_max(attribute),
                "uniqueItems": True,
            }
        case _:
            assert_never(attribute.kind)
