"""The mails of notifications, written from the templates in ``infra/mails``.

Invariant: what somebody typed is never markup, never a template and never in a header. What a guest typed stands in no
mail at all: anybody can order with any address. Mails that can be switched off say how, for people and for mail
programs (RFC 2369, RFC 8058); the token in that link is good for nothing else.
"""

from datetime import datetime
from email.message import EmailMessage
from uuid import UUID

from msgspec import Struct

from domain.accounts.model import Language, Purpose
from domain.notifications.facts import Facts
from domain.notifications.model import NEEDED, NotificationKind
from infra.envelope import compose, site_of
from infra.letters import recipient_at
from infra.mail import Post
from infra.onetime import token_of
from infra.relay import Mailbox
from infra.text import one_line

UNSUBSCRIBE_PATH = "/mails/unsubscribe"


class Letter(Struct, frozen=True):
    """All that a mail of a notification is written from. It holds an address, and stands nowhere but in memory."""

    id: UUID
    kind: NotificationKind
    to: str
    name: str
    language: Language
    message_id: str
    date: datetime
    facts: Facts


def write(letter: Letter, post: Post) -> tuple[EmailMessage, Mailbox]:
    """Write a mail, the same one each time, and say who it goes to; raises MailRefusedError."""
    recipient = recipient_at(letter.to)
    values = {**site_of(post), "name": one_line(letter.name), "facts": letter.facts}
    headers = {}
    if letter.kind not in NEEDED:
        token = token_of(post.secret_key, Purpose.UNSUBSCRIBE, letter.id)
        link = f"{post.api_base}{UNSUBSCRIBE_PATH}?token={token}"
        values["unsubscribe_link"] = link
        headers = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    message = compose(
        letter.kind.value,
        values,
        recipient,
        post,
        language=letter.language,
        message_id=letter.message_id,
        date=letter.date,
        headers=headers,
    )
    return message, recipient
