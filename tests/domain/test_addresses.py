"""Addresses: what every one has, and countries that exist."""

import json
import re
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.address_countries import COUNTRIES
from domain.accounts.address_model import ADDRESSES_MAX, PostalAddress, fault_of, refuse_another
from domain.rejections import Code
from domain.text import EMPTY_OR_LINE_PATTERN, LINE_PATTERN

GOOD = {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "country": "GB"}


def test_only_what_every_address_has_is_required():
    address = msgspec.convert(GOOD, PostalAddress)
    assert (address.postal_code, address.region, address.phone) == ("", "", "")
    for name in GOOD:
        with pytest.raises(msgspec.ValidationError, match=name):
            msgspec.convert({field: value for field, value in GOOD.items() if field != name}, PostalAddress)


def test_a_country_is_one_of_the_249():
    assert len(COUNTRIES) == 249
    assert all(re.fullmatch("[A-Z]{2}", code) for code in COUNTRIES)
    for code in ("GB", "DE", "JP", "BR", "TW"):
        assert fault_of(msgspec.convert({**GOOD, "country": code}, PostalAddress)) is None
    for code in ("UK", "EU", "XK", "ZZ", "AA"):
        refused = fault_of(msgspec.convert({**GOOD, "country": code}, PostalAddress))
        assert refused is not None
        assert (refused.status, refused.code, refused.path) == (400, Code.INVALID_REQUEST, "country")


BAD = {
    "a name of spaces": {"name": "   "},
    "a street over two lines": {"line1": "a\nb"},
    "a city that ends in a line feed": {"city": "London\n"},
    "a company of tabs": {"company": "\t"},
    "a line separator": {"line2": "a\u2028b"},
    "a null character": {"name": "a\0b"},
    "a country in small letters": {"country": "gb"},
    "a country of three letters": {"country": "GBR"},
    "a country and a line feed": {"country": "G\n"},
    "a country of another script": {"country": "\uff27\uff22"},
    "a long city": {"city": "a" * 201},
    "a long postal code": {"postal_code": "1" * 21},
    "a long phone number": {"phone": "1" * 41},
    "an unknown field": {"account_id": "1"},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
def test_what_is_no_address_is_refused(changes: dict[str, Any]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**GOOD, **changes}, PostalAddress)


@given(st.text(max_size=10))
def test_a_line_begins_and_ends_with_something_visible_and_is_one(text: str):
    is_line = bool(text) and text == text.strip() and len(text.splitlines()) == 1
    taken = re.search(LINE_PATTERN, text) is not None
    # What else is refused are control characters.
    assert taken <= is_line
    assert taken or not is_line or any(unicodedata.category(c) == "Cc" for c in text)
    assert (re.search(EMPTY_OR_LINE_PATTERN, text) is not None) is (taken or text == "")


def test_the_types_say_so_in_json_schema_too():
    schema = json.loads(msgspec.json.encode(msgspec.json.schema(PostalAddress)))
    properties = schema["$defs"]["PostalAddress"]["properties"]
    assert properties["line1"]["pattern"] == LINE_PATTERN
    assert properties["line2"]["pattern"] == EMPTY_OR_LINE_PATTERN


def test_an_account_has_a_hundred_addresses_at_most():
    assert refuse_another(ADDRESSES_MAX - 1) is None
    refused = refuse_another(ADDRESSES_MAX)
    assert refused is not None
    assert (refused.status, refused.code) == (409, Code.LIMIT_REACHED)
