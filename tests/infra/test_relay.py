"""MAIL_URL, MAIL_FROM and PUBLIC_URL: what is understood, and that what isn't is refused without being shown."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.accounts.email import fault_of
from infra.relay import Mailbox, Relay, base_of, mailbox, relay_of, sender_of
from infra.settings import SettingError, read
from infra.text import lines, one_line
from tests.infra.test_settings import GOOD

UNDERSTOOD = {
    "console:": None,
    "smtp://relay.example": Relay("relay.example", 587, "starttls"),
    "smtp://relay.example/": Relay("relay.example", 587, "starttls"),
    "smtp://relay.example:2525?starttls=required": Relay("relay.example", 2525, "starttls"),
    "smtp://relay.example?starttls=off": Relay("relay.example", 25, "off"),
    "smtps://relay.example": Relay("relay.example", 465, "implicit"),
    "smtps://me:secret@relay.example": Relay("relay.example", 465, "implicit", "me", "secret"),
    "smtp://me%40shop.example:p%3As%2F%C3%A4%25@relay.example": Relay(
        "relay.example", 587, "starttls", "me@shop.example", "p:s/ä%"
    ),
    "smtp://me:secret@127.0.0.1:1025?starttls=off": Relay("127.0.0.1", 1025, "off", "me", "secret"),
    "smtp://me:secret@[::1]:1025?starttls=off": Relay("::1", 1025, "off", "me", "secret"),
    "smtp://me:secret@localhost?starttls=off": Relay("localhost", 25, "off", "me", "secret"),
}


@pytest.mark.parametrize(("url", "relay"), UNDERSTOOD.items(), ids=UNDERSTOOD.keys())
def test_a_mail_url_says_where_how_and_as_whom(url: str, relay: Relay | None):
    assert relay_of(url) == relay


MAIL_URLS = {
    "another scheme": "http://me:hunter2@relay.example",
    "no host": "smtp://",
    "no host but a user": "smtp://me:hunter2@",
    "a slash in the password": "smtp://me:hunter2/x@relay.example",
    "a hash in the password": "smtp://me:hunter2#x@relay.example",
    "a question mark in the password": "smtp://me:hunter2?x@relay.example",
    "a path": "smtp://me:hunter2@relay.example/queue",
    "a port that is none": "smtp://me:hunter2@relay.example:smtp",
    "port 0": "smtp://me:hunter2@relay.example:0",
    "a port too high": "smtp://me:hunter2@relay.example:70000",
    "a user alone": "smtp://hunter2@relay.example",
    "a password alone": "smtp://:hunter2@relay.example",
    "a password in clear to another machine": "smtp://me:hunter2@relay.example?starttls=off",
    "a password in clear to a name like ours": "smtp://me:hunter2@localhost.example?starttls=off",
    "STARTTLS perhaps": "smtp://me:hunter2@relay.example?starttls=maybe",
    "STARTTLS twice": "smtp://me:hunter2@127.0.0.1?starttls=off&starttls=required",
    "another wish": "smtp://me:hunter2@relay.example?verify=no",
    "STARTTLS within TLS": "smtps://me:hunter2@relay.example?starttls=off",
    "a line's end": "smtp://me:hunter2@relay.example\n",
    "a line's end inside": "smtp://me:hunter2\n@relay.example",
    "a space": "smtp://me:hunter2@relay example",
    "a control character in the password": "smtp://me:hunter2%0d%0a@relay.example",
    "half a bracket": "smtp://me:hunter2@[::1",
    "more after the console": "console:hunter2",
}
MAIL_FROMS = {
    "no address": "hunter2",
    "a name without an address": "hunter2 <>",
    "two addresses": "a@b.example, hunter2@b.example",
    "a line's end": "hunter2@b.example\r\nBcc: c@d.example",
    "a line's end in the name": "Shop\r\nBcc: hunter2 <a@b.example>",
    "a name too long": "hunter2" * 8 + " <a@b.example>",
    "a quote in the name": 'hunter2 "Shop <a@b.example>',
    "not ASCII before the @": "hunter2ä@b.example",
}
PUBLIC_URLS = {
    "another scheme": "ftp://hunter2.example",
    "no host": "https://",
    "a user": "https://hunter2@shop.example",
    "a query": "https://shop.example/?hunter2",
    "an empty query": "https://shop.example/hunter2?",
    "a fragment": "https://shop.example/#hunter2",
    "markup": 'https://shop.example/"><script>hunter2',
    "a space": "https://shop.example/hunter2 en",
    "a line's end": "https://shop.example/hunter2\n",
    "not ASCII": "https://shop.example/hunter2/ä",
    "a port too high": "https://hunter2.example:70000",
}
BAD = [
    (name, case, value)
    for name, cases in (
        ("MAIL_URL", MAIL_URLS),
        ("MAIL_FROM", MAIL_FROMS),
        ("PUBLIC_URL", PUBLIC_URLS),
        ("API_URL", PUBLIC_URLS),
    )
    for case, value in cases.items()
]


@pytest.mark.parametrize(("name", "case", "value"), BAD, ids=[f"{name}: {case}" for name, case, _ in BAD])
def test_a_bad_mail_setting_is_named_and_not_shown(name: str, case: str, value: str):
    given = {**GOOD, "MAIL_FROM": "a@b.example", "PUBLIC_URL": "https://shop.example", name: value}
    with pytest.raises(SettingError) as caught:
        read(given)
    assert str(caught.value).startswith(f"{name}: ")
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("missing", ["MAIL_FROM", "PUBLIC_URL"])
def test_with_a_mail_server_the_sender_and_the_links_have_to_be_said(missing: str):
    given = {**GOOD, "MAIL_URL": "smtp://relay.example", "MAIL_FROM": "a@b.example", "PUBLIC_URL": "https://b.example"}
    read(given)
    with pytest.raises(SettingError, match=f"^{missing} is not set"):
        read({**given, missing: ""})


def test_links_that_the_api_answers_begin_with_its_own_address_or_the_front_ends():
    given = {**GOOD, "PUBLIC_URL": "https://shop.example/"}
    assert read(given).api_base() == "https://shop.example"
    assert read({**given, "API_URL": "https://api.shop.example/v1/"}).api_base() == "https://api.shop.example/v1"


def test_without_a_mail_server_nothing_has_to_be_said():
    config = read(GOOD)
    assert config.relay() is None
    assert config.sender() == Mailbox("ordermill@localhost", "localhost", "Ordermill")
    assert config.link_base() == "http://localhost:3000"


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("no-reply@Shop.example", Mailbox("no-reply@shop.example", "shop.example")),
        ("<no-reply@shop.example>", Mailbox("no-reply@shop.example", "shop.example")),
        ("The Shop <no-reply@shop.example>", Mailbox("no-reply@shop.example", "shop.example", "The Shop")),
        ('"Ärzte, Söhne" <a@b.example>', Mailbox("a@b.example", "b.example", "Ärzte, Söhne")),
        ("Bücher <post@bücher.example>", Mailbox("post@xn--bcher-kva.example", "xn--bcher-kva.example", "Bücher")),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(text: str, sender: Mailbox):
    assert sender_of(text) == sender


def test_links_are_made_by_adding_to_the_public_url():
    assert base_of("https://shop.example") == base_of("https://shop.example/") == "https://shop.example"
    assert base_of("http://shop.example:8080/en/") == "http://shop.example:8080/en"


def test_an_address_is_kept_in_the_form_in_which_servers_get_it():
    assert mailbox("Ada@Lovelace.Example") == Mailbox("Ada@lovelace.example", "lovelace.example")
    assert mailbox("ada@bücher.example") == Mailbox("ada@xn--bcher-kva.example", "xn--bcher-kva.example")
    assert mailbox("用户@例子.example") == Mailbox("用户@例子.example", "xn--fsqu00a.example", utf8=True)


@pytest.mark.parametrize("domain", ["localhost", "corp.local", "shop.test", "intranet"])
def test_a_private_networks_addresses_are_addresses(domain: str):
    assert mailbox(f"ada@{domain}") == Mailbox(f"ada@{domain}", domain)


def addresses(span: str) -> st.SearchStrategy[str]:
    """Addresses in one script, as registering has them."""
    word = st.text(st.characters(min_codepoint=ord(span[0]), max_codepoint=ord(span[1])), min_size=1, max_size=8)
    return st.builds("{}.{}@{}.{}".format, word, word, word, word)


@given(st.sampled_from(["az", "AZ", "ßö", "дя", "γω", "一丿"]).flatmap(addresses))
def test_mail_can_be_addressed_to_whatever_may_be_registered(address: str):
    assume(fault_of(address) is None)
    assert mailbox(address).domain.isascii()


def test_one_line_has_no_ends_controls_or_turned_directions():
    assert one_line("  a\r\n\tb\x00c\u2028d\u202ee\x85f\x1b[1m ") == "a b c d e f [1m"
    assert one_line("नमस्ते 👩‍🚀 Ångström") == "नमस्ते 👩‍🚀 Ångström", "what joins letters stays"
    assert lines("\n a \r\n\n b\x00\n\n") == "a\n\nb"
