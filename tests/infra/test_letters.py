"""Mails as they are written: what they say, where their links lead, and that no stranger's words become anything."""

import html
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from domain.accounts.mail import WITH_TOKEN, MailKind, SendAccountMail
from domain.accounts.model import Language, Purpose
from domain.notifications.model import NotificationKind
from infra import letters
from infra.letters import write
from infra.mail import ConsoleMailer, MailRefusedError, Post
from infra.onetime import read
from infra.relay import Mailbox
from infra.wording import templates
from tests.builders import SECRET_KEY

ROOT = Path(__file__).parents[2]
ADA = Mailbox("ada@lovelace.example", "lovelace.example")
POST = Post(
    ConsoleMailer(), Mailbox("no-reply@shop.example", "shop.example", "The Shop"), "https://shop.example/en", SECRET_KEY
)
TOKEN_ID = UUID("018bcfe5-6be8-7004-8000-000000000000")
COMMAND_ID = UUID("018bcfe5-6be8-7008-8000-000000000000")
PERSONAL = [MailKind.SELLER_APPROVED, MailKind.SELLER_REJECTED, MailKind.MEMBER_ADDED]
DATE = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
typed = st.text(max_size=200)


def command(kind: MailKind, **fields: Any) -> SendAccountMail:
    return SendAccountMail(kind, ADA.address, token_id=TOKEN_ID if kind in WITH_TOKEN else None, **fields)


def mail(kind: MailKind, post: Post = POST, **fields: Any) -> EmailMessage:
    """The mail of a kind, as whoever gets it reads it."""
    made = write(command(kind, **fields), ADA, post, message_id=post.message_id(COMMAND_ID), date=DATE)
    read_again = message_from_bytes(made.as_bytes(policy=SMTP), policy=default)
    assert isinstance(read_again, EmailMessage)
    return read_again


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize("kind", MailKind)
def test_each_kind_has_a_subject_a_text_and_html_that_say_the_same(kind: MailKind):
    message = mail(kind)
    assert "The Shop" in message["Subject"]
    text = part(message, "plain")
    assert text.startswith("Hello,\n\n")
    assert max(len(line) for line in text.splitlines() if "://" not in line) <= 76
    said = " ".join(text.partition("\n\n")[2].partition("\n\n")[0].split()).partition(":")[0]
    assert said in " ".join(part(message, "html").split())
    assert "https://shop.example/en" in text


@pytest.mark.parametrize(
    ("kind", "path", "purpose"),
    [
        (MailKind.VERIFY_EMAIL, "verify-email", Purpose.VERIFY_EMAIL),
        (MailKind.RESET_PASSWORD, "reset-password", Purpose.RESET_PASSWORD),
    ],
)
def test_a_one_time_link_leads_to_the_front_end_with_a_token_for_its_purpose(
    kind: MailKind, path: str, purpose: Purpose
):
    message = mail(kind)
    before = f"https://shop.example/en/{path}?token="
    (link,) = [line for line in part(message, "plain").splitlines() if "token=" in line]
    assert link.startswith(before)
    assert read(SECRET_KEY, purpose, link.removeprefix(before)) == TOKEN_ID
    assert f'href="{link}"' in part(message, "html")


def test_a_mail_is_in_the_language_its_command_names_or_else_the_deployments():
    german = msgspec.structs.replace(POST, language=Language.DE)
    assert mail(MailKind.PASSWORD_CHANGED)["Subject"] == "Your password for The Shop was changed"
    for made in (mail(MailKind.PASSWORD_CHANGED, german), mail(MailKind.PASSWORD_CHANGED, language=Language.DE)):
        assert made["Subject"] == "Ihr Passwort für The Shop wurde geändert"
    assert mail(MailKind.PASSWORD_CHANGED, german, language=Language.EN)["Subject"].startswith("Your password")


def test_only_those_two_kinds_hold_a_token():
    for kind in MailKind:
        found = "token=" in part(mail(kind), "plain")
        assert found is (kind in WITH_TOKEN)


@pytest.mark.parametrize("kind", MailKind)
def test_a_link_needs_a_token_and_a_token_a_link(kind: MailKind):
    wrong = None if kind in WITH_TOKEN else TOKEN_ID
    with pytest.raises(ValueError, match=f"{kind} .* token_id"):
        SendAccountMail(kind, ADA.address, token_id=wrong)
    encoded = msgspec.json.encode({"kind": kind, "to": ADA.address, "token_id": wrong})
    with pytest.raises(msgspec.ValidationError, match="token_id"):
        msgspec.json.decode(encoded, type=SendAccountMail)


HOSTILE = [
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% for x in (7,) %}{{ x * x }}{% endfor %}${7*7}{{ config }}",
    "Eve\r\nBcc: victim@elsewhere.example",
    "Eve\r\n\r\n<h1>Your account is closed</h1>",
    "\u202egnp.exe\u2066 \x1b[31m\x00\x07 \u2028 \x85 next",
    '" onmouseover="alert(1)',
    "=?utf-8?q?=0D=0ABcc=3A_victim=40elsewhere=2Eexample?=",
]
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", PERSONAL)
def test_a_name_is_never_a_header_markup_or_a_template(kind: MailKind, name: str):
    message, harmless = mail(kind, name=name, reason=name), mail(kind, name="N", reason="R")
    assert message.keys() == HEADERS
    for header in ("From", "To", "Subject"):
        assert message[header] == harmless[header]
    markup = part(message, "html")
    assert markup.count("<") == part(harmless, "html").count("<")
    assert markup.count('"') == part(harmless, "html").count('"')
    text = part(message, "plain")
    assert "49" not in text
    greeting = text.splitlines()[0]
    assert greeting.startswith("Hello ")
    assert greeting.endswith(",")
    assert not set(text) & set("\x00\x07\x1b\x85\u2028\u202e\u2066\r")


@given(typed, typed)
@example("名" * 200, "ä\n\nö")
def test_whatever_is_typed_stands_in_the_body_as_it_reads(name: str, reason: str):
    message = mail(MailKind.SELLER_REJECTED, name=name, reason=reason)
    assert message.keys() == HEADERS
    assert message["To"] == ADA.address
    greeting = part(message, "plain").splitlines()[0]
    assert html.escape(greeting).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in part(message, "html")
    for word in name.split():
        if word.isprintable():
            assert word in greeting


@pytest.mark.parametrize("kind", [kind for kind in MailKind if kind not in PERSONAL])
def test_a_mail_that_anybody_can_have_sent_holds_nothing_they_typed(kind: MailKind):
    spam = "You won! Fetch it at evil.example"
    said = mail(kind, name=spam, reason=spam)
    assert part(said, "plain") == part(mail(kind), "plain")
    assert part(said, "html") == part(mail(kind), "html")
    assert said["Subject"] == mail(kind)["Subject"]


def test_a_rejection_gives_its_reason_line_by_line_and_none_without_one():
    given = mail(MailKind.SELLER_REJECTED, reason="The papers\nare out of date & unsigned.")
    assert "  The papers\n  are out of date & unsigned.\n" in part(given, "plain")
    assert "The papers\nare out of date &amp; unsigned.</p>" in part(given, "html")
    assert "reason" not in part(mail(MailKind.SELLER_REJECTED), "plain")


def test_a_mail_is_named_after_its_command_and_dated_as_it_was():
    """So that a repeat is the same mail, whoever counts."""
    first, again = mail(MailKind.PASSWORD_CHANGED), mail(MailKind.PASSWORD_CHANGED)
    assert first["Message-ID"] == again["Message-ID"] == f"<{COMMAND_ID}@shop.example>"
    assert first["Date"].datetime == again["Date"].datetime == DATE


def test_a_message_id_of_a_long_domain_stays_whole():
    domain = ".".join(["d" * 60] * 3) + ".example"
    post = Post(POST.mailer, Mailbox(f"no-reply@{domain}", domain), POST.link_base, SECRET_KEY)
    assert mail(MailKind.PASSWORD_CHANGED, post)["Message-ID"] == f"<{COMMAND_ID}@{domain}>"


def test_without_a_name_of_the_sender_the_site_is_the_links_host():
    post = Post(
        POST.mailer, Mailbox("no-reply@shop.example", "shop.example"), "https://www.shop.example:8443", "x" * 40
    )
    assert mail(MailKind.SELLER_APPROVED, post)["Subject"] == "You can sell at www.shop.example"


def test_a_template_that_names_something_unknown_fails_instead_of_leaving_a_gap():
    with pytest.raises(UndefinedError, match="nothing"):
        templates(Language.EN).from_string("{{ nothing }}").render({})


@pytest.mark.parametrize(
    "to", ["nobody", "a@b.example\r\nBcc: c@d.example", "a b@c.example", "a@b.example, c@d.example"]
)
def test_what_is_no_address_is_refused_for_good_and_not_shown(to: str):
    with pytest.raises(MailRefusedError, match="not an e-mail address") as caught:
        letters.recipient_at(to)
    assert to not in str(caught.value)


def test_the_wheel_holds_every_template(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("infra/mails/")}
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "infra" / "mails").rglob("*") if path.is_file()}
    assert shipped == here
    kinds = {*MailKind, *NotificationKind}
    assert {f"infra/mails/{kind}.{form}" for kind in kinds for form in ("txt", "html")} < shipped
