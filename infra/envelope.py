"""Messages as mail servers get them: headers, a text and an HTML part.

Invariant: nothing that somebody typed stands in a header but the recipient's own address.
"""

from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import urlsplit

from domain.accounts.model import Language
from infra.mail import Post
from infra.relay import Mailbox
from infra.wording import subject_of, templates, text_of


def site_of(post: Post) -> dict[str, str]:
    """What every mail calls the site by."""
    return {
        "site": post.sender.name or urlsplit(post.link_base).hostname or "",
        "site_link": post.link_base,
        "unsubscribe_link": "",
    }


def compose(
    name: str,
    values: dict[str, Any],
    recipient: Mailbox,
    post: Post,
    *,
    language: Language,
    message_id: str,
    date: datetime,
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """Put a message together from the templates of a name: the same one each time."""
    text = templates(language).get_template(f"{name}.txt")
    html = templates(language).get_template(f"{name}.html")
    message = EmailMessage(policy=SMTP)
    message["From"] = _header(post.sender)
    message["To"] = _header(recipient)
    message["Subject"] = subject_of(text, values)
    message["Date"] = date
    message["Message-ID"] = message_id
    # No out-of-office replies, please (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    for header, value in (headers or {}).items():
        message[header] = value
    # Quoted-printable passes through servers of every age, whatever the language.
    message.set_content(text_of(text, values), cte="quoted-printable")
    message.add_alternative(html.render(values), subtype="html", cte="quoted-printable")
    return message


def _header(who: Mailbox) -> Address:
    user, _, domain = who.address.rpartition("@")
    return Address(who.name, user, domain)
