"""E-mail addresses: which are ones, and which two are the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.email import email_key, fault_of

GOOD = [
    "a@b.cc",
    "ada.lovelace+x@example.com",
    "o'hara@sub.example.co.uk",
    "\u00e4da@ex\u00e4mple.de",
    "\u7530@\u4f8b\u3048.jp",
    "\u0430\u0434\u0430@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
    "1_2-3@xn--bcher-kva.example",
]


@pytest.mark.parametrize("address", GOOD)
def test_an_address_is_an_address(address: str):
    assert fault_of(address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ab", "3 to 254"),
        ("a" * 250 + "@b.cc", "3 to 254"),
        ("a b@example.com", "no spaces"),
        ("a\u200bb@example.com", "invisible"),
        ("ada@example.com\n", "control"),
        ("ada.example.com", "one @"),
        ("a@b@example.com", "one @"),
        ("@example.com", "before the @"),
        (".ada@example.com", "before the @"),
        ("a" * 65 + "@example.com", "before the @"),
        ('"ada"@example.com', "before the @"),
        ("ada@localhost", "domain"),
        ("ada@-example.com", "domain"),
        ("ada@example..com", "domain"),
        ("ada@" + "x" * 64 + ".com", "domain"),
        ("ada@[127.0.0.1]", "domain"),
        ("\u0430da@example.com", "scripts"),
        ("ada@ex\u0430mple.com", "scripts"),
        ("p\u03b1y@example.com", "scripts"),
    ],
)
def test_what_is_none_is_told_why(address: str, why: str):
    assert why in (fault_of(address) or "")


def test_case_and_compatible_forms_are_the_same_address():
    same = ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM", "\uff41da@example.com", "ada@ex\uff41mple.com"]
    assert {email_key(address) for address in same} == {"ada@example.com"}
    assert email_key("stra\u00dfe@example.com") == email_key("STRASSE@example.com")


@given(st.text(max_size=60))
def test_the_key_of_a_key_is_itself(address: str):
    assert email_key(email_key(address)) == email_key(address)


@given(st.text(max_size=60))
def test_forms_of_one_text_have_one_key(address: str):
    forms = {address, unicodedata.normalize("NFC", address), unicodedata.normalize("NFKD", address)}
    assert len({email_key(form) for form in forms}) == 1


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_told_why_it_is_none(address: str):
    fault = fault_of(address)
    assert fault is None or fault
    if fault is None:
        assert fault_of(email_key(address)) in {None, "an e-mail address has 3 to 254 characters"}
