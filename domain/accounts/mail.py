"""Mail about an account: the command that has one sent.

Invariant: no secret stands in the command, because the journal keeps it for weeks. A mail with a one-time link names
the id of its token; the token itself is made when the mail is written (``infra.onetime``).
"""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta

from domain.accounts.model import Language
from domain.journal.model import Command, Lane


class MailKind(StrEnum):
    """What a mail is about."""

    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a name, not a password
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name, not a password
    SELLER_APPROVED = "seller_approved"
    SELLER_REJECTED = "seller_rejected"
    MEMBER_ADDED = "member_added"


WITH_TOKEN = frozenset({MailKind.VERIFY_EMAIL, MailKind.RESET_PASSWORD})
"""The mails that carry a one-time link."""


class SendAccountMail(Command, frozen=True):
    """Send one mail about an account to one address.

    ``name`` is who it greets, ``reason`` why a seller was rejected; only mails about sellers use them. ``token_id``
    names a one-time token and belongs to the kinds in ``WITH_TOKEN`` alone. Without a
    ``language`` it is in the deployment's.
    """

    job: ClassVar[str] = "send_account_mail"
    lane: ClassVar[Lane] = Lane.IO

    kind: MailKind
    to: Annotated[str, Meta(min_length=1, max_length=320)]
    name: Annotated[str, Meta(max_length=200)] = ""
    token_id: UUID | None = None
    reason: Annotated[str, Meta(max_length=2_000)] = ""
    language: Language | None = None

    def __post_init__(self) -> None:
        """Refuse a link without a token, and a token without a link: the caller's mistake, found where it is made."""
        if (self.token_id is not None) is not (self.kind in WITH_TOKEN):
            raise ValueError(f"{self.kind} {'needs' if self.token_id is None else 'has no'} token_id")
