"""Payout details: numbers nobody can have are refused, and nothing but the mask is shown."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.seller_payout import IBAN_LENGTHS, Iban, Payout, UsAccount, checked, shown
from domain.rejections import Rejection

# The registry's own examples.
EXAMPLES = [
    "AD1200012030200359100100",
    "AE070331234567890123456",
    "BE68539007547034",
    "BR1800360305000010009795493C1",
    "CH9300762011623852957",
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "LC55HEMM000100010012001200023015",
    "MT84MALT011000012345MTLCAST001S",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "PL61109010140000071219812874",
    "SA0380000000608010167519",
    "XK051212012345678906",
]


def iban(number: str, **more: str) -> Iban:
    return Iban(holder="Ada Lovelace", iban=number, **more)


@pytest.mark.parametrize("number", EXAMPLES)
def test_the_examples_of_the_registry_are_taken_however_they_are_written(number: str):
    assert len(number) == IBAN_LENGTHS[number[:2]]
    grouped = " ".join(number[n : n + 4] for n in range(0, len(number), 4))
    for written in (number, number.lower(), grouped):
        assert checked(iban(written)) == iban(number)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_slip_of_the_hand_is_noticed(number: str, data: st.DataObject):
    """One digit wrong, or two neighbours in each other's place."""
    place = data.draw(st.sampled_from([n for n, c in enumerate(number) if c.isdigit() and n >= 2]))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != number[place]]))
    wrong = [number[:place] + other + number[place + 1 :]]
    if place + 1 < len(number) and number[place + 1].isdigit() and number[place + 1] != number[place]:
        wrong.append(number[:place] + number[place + 1] + number[place] + number[place + 2 :])
    for text in wrong:
        refused = checked(iban(text))
        assert isinstance(refused, Rejection)
        assert (refused.status, refused.path) == (400, "payout.iban")


@pytest.mark.parametrize(
    "number",
    [
        "DE8937040044053201300",
        "DE893704004405320130000",
        "ZZ89370400440532013000",
        "DEAB370400440532013000",
        "DE89-3704-0044-0532-0130-00",
        "DE8937040044053201300\N{DEVANAGARI DIGIT ZERO}",
        "\N{FULLWIDTH LATIN CAPITAL LETTER D}E89370400440532013000",
    ],
)
def test_what_is_no_iban_is_refused_without_a_word_of_it(number: str):
    refused = checked(iban(number))
    assert isinstance(refused, Rejection)
    assert number[2:] not in refused.detail


def test_there_are_the_89_countries_of_the_registry():
    assert len(IBAN_LENGTHS) == 89
    assert all(15 <= length <= 34 for length in IBAN_LENGTHS.values())


def us(routing: str = "021000021", account: str = "123456789") -> UsAccount:
    return UsAccount(holder="Ada Lovelace", routing_number=routing, account_number=account)


@pytest.mark.parametrize("routing", ["021000021", "011401533", "091000019", "121000358"])
def test_routing_numbers_of_banks_are_taken(routing: str):
    assert checked(us(routing)) == us(routing)


@pytest.mark.parametrize("routing", ["021000022", "120000021", "000000000", "123456789"])
def test_a_routing_number_nobody_has_is_refused(routing: str):
    refused = checked(us(routing))
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.path) == (400, "payout.routing_number")
    assert routing not in refused.detail


@pytest.mark.parametrize(
    ("payout", "mask"),
    [
        (iban("DE89370400440532013000"), "DE•• •••• •••• 3000"),
        (iban("no93 8601 1117 947"), "NO•• •••• •••• 7947"),
        (us(), "•••• 6789"),
        (us(account="1234"), "•••• 34"),
    ],
)
def test_the_mask_shows_the_country_and_the_end(payout: Payout, mask: str):
    assert shown(payout) == mask


@pytest.mark.parametrize("payout", [iban("DE89370400440532013000", bic="COBADEFF"), us()])
def test_details_that_are_printed_show_their_mask(payout: Payout):
    for text in (repr(payout), str(payout), f"{payout}", repr([payout])):
        assert shown(payout) in text
        for secret in ("370400440532", "021000021", "12345", "Ada", "COBA"):
            assert secret not in text


def us_body(**changes: str) -> dict[str, Any]:
    good = {"kind": "account", "holder": "Ada", "routing_number": "021000021", "account_number": "1234"}
    return {**good, **changes}


BAD: dict[str, dict[str, Any]] = {
    "no kind": {"holder": "Ada", "iban": EXAMPLES[0]},
    "an unknown kind": {"kind": "cash", "holder": "Ada"},
    "another kind's fields": {"kind": "account", "holder": "Ada", "iban": EXAMPLES[0]},
    "no holder": {"kind": "iban", "iban": EXAMPLES[0]},
    "an empty holder": {"kind": "iban", "holder": "", "iban": EXAMPLES[0]},
    "a long IBAN": {"kind": "iban", "holder": "Ada", "iban": "A" * 43},
    "a short BIC": {"kind": "iban", "holder": "Ada", "iban": EXAMPLES[0], "bic": "COBADEF"},
    "a BIC and a line feed": {"kind": "iban", "holder": "Ada", "iban": EXAMPLES[0], "bic": "COBADEFF\n"},
    "a short routing number": us_body(routing_number="02100002"),
    "a long routing number": us_body(routing_number="0" * 10),
    "a number that is none": us_body(account_number="12a4"),
    "a short number": us_body(account_number="123"),
    "a long number": us_body(account_number="1" * 18),
    "a line feed": us_body(account_number="1234\n"),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_no_account_is_refused(body: dict[str, Any]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, Payout)
