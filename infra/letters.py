"""Mails as people read them, written from the templates in ``infra/mails``: a text and an HTML part.

Invariant: what somebody typed is never markup, never a template and never in a header. A mail that anybody can have
sent to any address says nothing that they typed, so that nobody uses us to send their own words to strangers.
"""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from domain.accounts.mail import MailKind, SendAccountMail
from domain.accounts.model import Purpose
from infra.mail import MailRefusedError, Post
from infra.onetime import token_of
from infra.relay import Mailbox, mailbox
from infra.text import lines, one_line

_templates = Environment(
    loader=PackageLoader("infra", "mails"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)

_LINKS = {
    MailKind.VERIFY_EMAIL: ("/verify-email", Purpose.VERIFY_EMAIL),
    MailKind.RESET_PASSWORD: ("/reset-password", Purpose.RESET_PASSWORD),
}
"""Where a mail's one-time link leads in the front end, and what its token is for."""

_PERSONAL = frozenset({MailKind.SELLER_APPROVED, MailKind.SELLER_REJECTED, MailKind.MEMBER_ADDED})
"""Mails that somebody with a say over the recipient decided to send."""


def recipient_of(command: SendAccountMail) -> Mailbox:
    """Who the mail goes to; raises MailRefusedError."""
    try:
        return mailbox(command.to)
    except ValueError as error:
        raise MailRefusedError(str(error)) from None


def write(command: SendAccountMail, recipient: Mailbox, post: Post, *, message_id: str, date: datetime) -> EmailMessage:
    """Write the mail of a command: the same one each time."""
    values = _values(command, post)
    text = _templates.get_template(f"{command.kind}.txt")
    html = _templates.get_template(f"{command.kind}.html")
    subject = "".join(text.blocks["subject"](text.new_context(values)))
    message = EmailMessage(policy=SMTP)
    message["From"] = _header(post.sender)
    message["To"] = _header(recipient)
    message["Subject"] = one_line(subject)
    message["Date"] = date
    message["Message-ID"] = message_id
    # No out-of-office replies, please (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    # Quoted-printable passes through servers of every age, whatever the language.
    message.set_content(text.render(values), cte="quoted-printable")
    message.add_alternative(html.render(values), subtype="html", cte="quoted-printable")
    return message


def _header(who: Mailbox) -> Address:
    user, _, domain = who.address.rpartition("@")
    return Address(who.name, user, domain)


def _values(command: SendAccountMail, post: Post) -> dict[str, str]:
    site = post.sender.name or urlsplit(post.link_base).hostname or ""
    values = {"site": site, "site_link": post.link_base}
    if command.kind in _PERSONAL:
        values |= {"name": one_line(command.name), "reason": lines(command.reason)}
    if command.token_id is not None:
        path, purpose = _LINKS[command.kind]
        token = token_of(post.secret_key, purpose, command.token_id)
        values["link"] = f"{post.link_base}{path}?token={token}"
    return values
