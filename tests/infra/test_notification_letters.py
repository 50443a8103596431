"""The mails of notifications in every language: complete, escaped, the same each time, and with a way to end them."""

import html
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from domain.accounts.model import Language, Purpose
from domain.notifications.facts import Item, OrderFacts, ProductFacts
from domain.notifications.model import NEEDED, NotificationKind
from infra.mail import ConsoleMailer, Post
from infra.mail_samples import AT, KEY, KINDS, SAMPLES, sample
from infra.notification_letters import Letter, write
from infra.onetime import read
from infra.relay import Mailbox
from infra.wording import moment, money
from tests.builders import SECRET_KEY

MAILS = Path(__file__).parents[2] / "infra" / "mails"
POST = Post(
    ConsoleMailer(),
    Mailbox("no-reply@shop.example", "shop.example", "The Shop"),
    "https://shop.example",
    SECRET_KEY,
    api_base="https://api.shop.example",
)
OPTIONS = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}
OPTIONAL = [kind for kind in NotificationKind if kind not in NEEDED]


def as_read(made: EmailMessage) -> EmailMessage:
    read_again = message_from_bytes(made.as_bytes(policy=SMTP), policy=default)
    assert isinstance(read_again, EmailMessage)
    return read_again


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def mail(kind: NotificationKind, **changes: object) -> EmailMessage:
    facts = msgspec.structs.replace(SAMPLES[kind], **changes)
    letter = Letter(KEY, kind, "ada@example.com", "Ada", Language.EN, POST.message_id(KEY), AT, facts)
    return as_read(write(letter, POST)[0])


def words(markup: str) -> str:
    """What of a page somebody reads."""
    body = markup.partition("<body")[2].partition(">")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def extracted() -> set[str]:
    """Every text of the templates that a catalog translates."""
    found = set()
    for path in MAILS.iterdir():
        if path.is_file():
            for _, _, texts, _ in babel_extract(
                BytesIO(path.read_bytes()), ("trans", "gettext", "ngettext"), [], OPTIONS
            ):
                found.add(texts if isinstance(texts, str) else texts[0])
    return found


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_whole_in_every_language(kind: str, language: Language):
    message = as_read(sample(kind, POST, language))
    text, markup = part(message, "plain"), part(message, "html")
    assert 5 < len(message["Subject"]) <= 78
    assert f'<html lang="{language.value}">' in markup
    for shown in (str(message["Subject"]), text, words(markup)):
        assert not re.search(r"\{\{|\{%|%\(|&(amp|lt|#)|None|\bUndefined\b", shown), shown
    assert max(len(line) for line in text.splitlines() if "://" not in line) <= 76
    assert "\n\n\n" not in text
    # What the text says, the page says in the same words.
    said = " ".join(text.partition("\n-- ")[0].split())
    for sentence in re.split(r"(?<=[.!?:])\s", re.sub(r"https://\S+", "", said)):
        if len(sentence) > 25 and "\u00d7" not in sentence and "CUP" not in sentence:
            assert " ".join(sentence.split()) in words(markup), sentence


@pytest.mark.parametrize("language", [language for language in Language if language is not Language.EN])
def test_a_catalog_has_every_text_and_no_other(language: Language):
    catalog = read_po(BytesIO((MAILS / "locale" / f"{language.value}.po").read_bytes()), locale=language.value)
    kept = {message.id if isinstance(message.id, str) else message.id[0]: message for message in catalog if message.id}
    assert set(kept) == extracted()
    empty = [key for key, message in kept.items() if not message.string or not all(message.string) or message.fuzzy]
    assert empty == []
    for key, message in kept.items():
        assert list(message.check(catalog)) == []
        written = message.string if isinstance(message.string, str) else message.string[-1]
        assert set(re.findall(r"%\(\w+\)s", written)) == set(re.findall(r"%\(\w+\)s", key))


def test_every_language_but_english_has_a_catalog_and_every_catalog_a_language():
    catalogs = {path.stem for path in (MAILS / "locale").iterdir()}
    assert catalogs == {language.value for language in Language} - {"en"}


def test_two_languages_say_it_differently():
    english, german = (as_read(sample("order_shipped", POST, language)) for language in Language)
    assert english["Subject"] == "Something of your order 7Z0K-93QM-1T8C is on its way"
    assert german["Subject"] == "Etwas aus Ihrer Bestellung 7Z0K-93QM-1T8C ist unterwegs"
    assert "Guten Tag, Ada," in part(german, "plain")


def test_amounts_and_times_are_written_as_the_language_does():
    assert money(123_456, "EUR", Language.EN) == "€1,234.56"
    assert money(123_456, "EUR", Language.DE) == "1.234,56\u00a0€"
    assert money(1_234, "JPY", Language.DE) == "1.234\u00a0¥"
    assert money(1_234_567, "KWD", Language.EN) == "KWD1,234.567"
    assert money(-300, "EUR", Language.EN) == "-€3.00"
    assert money(1_001, "IQD", Language.EN) == "IQD1.001", "the locale counts no fils, and we do"
    assert moment(AT, Language.DE) == "14.03.2026, 09:30:00 UTC"


def test_an_order_shows_its_lines_its_amounts_and_until_when_it_can_be_paid():
    text = part(mail(NotificationKind.ORDER_PLACED), "plain")
    for shown in ("2 \u00d7 Cup, blue (CUP-BLUE)", "€24.00", "Discount: -€3.00", "Shipping: €4.95", "Total: €41.45",
                  "of which tax: €6.62", "Mar 14, 2026"):  # fmt: skip
        assert shown in text
    assert f"https://shop.example/orders/{KEY}" in text


def test_an_order_that_costs_nothing_asks_for_no_payment():
    assert "paid" not in part(mail(NotificationKind.ORDER_PLACED, total_minor=0), "plain")


def test_what_sellers_typed_is_no_markup_and_no_header():
    spoilt = "<script>alert(1)</script>{{ 7 * 7 }}\r\nBcc: eve@example.com %(site)s"
    plain = mail(NotificationKind.ORDER_SHIPPED, seller="S", tracking="T", items=(Item("T", "S", 1),))
    hostile = mail(
        NotificationKind.ORDER_SHIPPED, seller=spoilt, tracking=spoilt, carrier=spoilt, items=(Item(spoilt, spoilt, 1),)
    )
    assert hostile.keys() == plain.keys()
    assert hostile["Subject"] == plain["Subject"]
    assert part(hostile, "html").count("<") == part(plain, "html").count("<")
    assert "49" not in part(hostile, "plain")
    assert "\nBcc:" not in part(hostile, "plain")
    product = mail(NotificationKind.PRODUCT_REJECTED, title=spoilt, reason=spoilt)
    assert product["Subject"] == mail(NotificationKind.PRODUCT_REJECTED)["Subject"]


@pytest.mark.parametrize("kind", OPTIONAL)
def test_a_mail_that_can_be_switched_off_says_how_to_people_and_to_programs(kind: NotificationKind):
    message = mail(kind)
    link = str(message["List-Unsubscribe"]).strip("<>")
    assert link.startswith("https://api.shop.example/mails/unsubscribe?token=")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert read(SECRET_KEY, Purpose.UNSUBSCRIBE, link.partition("token=")[2]) == KEY
    assert link in part(message, "plain")
    assert f'href="{link}"' in part(message, "html")


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_a_mail_that_is_needed_offers_no_end(kind: NotificationKind):
    message = mail(kind)
    assert "List-Unsubscribe" not in message
    assert "unsubscribe" not in part(message, "html")


def test_a_reason_is_given_line_by_line_and_none_without_one():
    text = part(mail(NotificationKind.PRODUCT_REJECTED), "plain")
    assert "\n  The title says nothing.\n  The picture is missing.\n" in text
    assert "reason" not in part(mail(NotificationKind.PRODUCT_REJECTED, reason=""), "plain")


def test_a_mail_is_the_same_however_often_it_is_written():
    letter = Letter(
        KEY, NotificationKind.ORDER_CANCELLED, "ada@example.com", "Ada", Language.DE, POST.message_id(KEY), AT,
        SAMPLES[NotificationKind.ORDER_CANCELLED],
    )  # fmt: skip
    first, again = (as_read(write(letter, POST)[0]) for _ in range(2))
    assert first["Message-ID"] == again["Message-ID"] == f"<{KEY}@shop.example>"
    assert first["Date"] == again["Date"]
    assert part(first, "plain") == part(again, "plain")


def test_every_kind_has_a_sample_of_the_facts_it_is_written_from():
    assert set(SAMPLES) == set(NotificationKind)
    assert isinstance(SAMPLES[NotificationKind.NEW_ORDER], OrderFacts)
    assert isinstance(SAMPLES[NotificationKind.PRODUCT_APPROVED], ProductFacts)
