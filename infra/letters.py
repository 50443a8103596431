"""Mails about accounts as people read them, written from the templates in ``infra/mails``: a text and an HTML part.

Invariant: what somebody typed is never markup, never a template and never in a header. A mail that anybody can have
sent to any address says nothing that they typed, so that nobody uses us to send their own words to strangers.
"""

from datetime import datetime
from email.message import EmailMessage

from domain.accounts.mail import MailKind, SendAccountMail
from domain.accounts.model import Purpose
from infra.envelope import compose, site_of
from infra.mail import MailRefusedError, Post
from infra.onetime import token_of
from infra.relay import Mailbox, mailbox
from infra.text import lines, one_line

_LINKS = {
    MailKind.VERIFY_EMAIL: ("/verify-email", Purpose.VERIFY_EMAIL),
    MailKind.RESET_PASSWORD: ("/reset-password", Purpose.RESET_PASSWORD),
}
"""Where a mail's one-time link leads in the front end, and what its token is for."""

_PERSONAL = frozenset({MailKind.SELLER_APPROVED, MailKind.SELLER_REJECTED, MailKind.MEMBER_ADDED})
"""Mails that somebody with a say over the recipient decided to send."""


def recipient_at(address: str) -> Mailbox:
    """Who a mail to an address goes to; raises MailRefusedError."""
    try:
        return mailbox(address)
    except ValueError as error:
        raise MailRefusedError(str(error)) from None


def write(command: SendAccountMail, recipient: Mailbox, post: Post, *, message_id: str, date: datetime) -> EmailMessage:
    """Write the mail of a command: the same one each time."""
    return compose(
        command.kind.value,
        _values(command, post),
        recipient,
        post,
        language=command.language or post.language,
        message_id=message_id,
        date=date,
    )


def _values(command: SendAccountMail, post: Post) -> dict[str, str]:
    values = site_of(post)
    if command.kind in _PERSONAL:
        values |= {"name": one_line(command.name), "reason": lines(command.reason)}
    if command.token_id is not None:
        path, purpose = _LINKS[command.kind]
        token = token_of(post.secret_key, purpose, command.token_id)
        values["link"] = f"{post.link_base}{path}?token={token}"
    return values
