"""Mails with a one-time link, sent to whoever has an account under an address: decided, not looked up by the caller.

Invariant: who asks for a link is answered before anybody looks whether the account exists, and the same way. So the
asking is a command like any other, and what comes of it stays between us and the mailbox.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.accounts.email import email_key
from domain.accounts.mail import MailKind, SendAccountMail
from domain.accounts.model import Account, AccountStatus, Email, NewOneTimeToken, Purpose
from domain.journal.model import Claimed, Command, Lane
from domain.limits import Limits

LINKS_MAX = 5
"""Unused links of one purpose an account may have; who asks for more gets none until one was used or has expired."""


class SendLink(Command, frozen=True):
    """Send a one-time link to an address, if an account there can use it."""

    job: ClassVar[str] = "send_links"
    lane: ClassVar[Lane] = Lane.IO

    purpose: Purpose
    email: Email


class LinkPlan(Struct, frozen=True):
    """What a batch of requests comes to: tokens to write, and mails with the request each belongs to."""

    tokens: list[NewOneTimeToken]
    mails: list[tuple[Claimed[SendLink], SendAccountMail]]


def decide(
    commands: Sequence[Claimed[SendLink]],
    accounts: Mapping[str, Account],
    unused: Mapping[tuple[UUID, Purpose], int],
    limits: Limits,
) -> LinkPlan:
    """Choose for each request its mail, or none. ``accounts`` are keyed by ``email_key``."""
    plan = LinkPlan([], [])
    counts = dict(unused)
    for claimed in commands:
        purpose = claimed.command.purpose
        account = accounts.get(email_key(claimed.command.email))
        if account is None or account.status is not AccountStatus.ACTIVE:
            continue
        if purpose is Purpose.VERIFY_EMAIL and account.verified_at is not None:
            plan.mails.append(
                (claimed, SendAccountMail(MailKind.ALREADY_REGISTERED, account.email, language=account.language))
            )
            continue
        if counts.get((account.id, purpose), 0) >= LINKS_MAX:
            continue
        counts[account.id, purpose] = counts.get((account.id, purpose), 0) + 1
        # Named after the request, so that one that runs twice writes one token.
        token_id = claimed.id
        seconds = limits.verify_link_seconds if purpose is Purpose.VERIFY_EMAIL else limits.reset_link_seconds
        plan.tokens.append(NewOneTimeToken(token_id, account.id, purpose, seconds))
        # Nothing that whoever asked could have chosen: the name of an unverified account may be an attacker's text.
        kind = MailKind(purpose.value)
        plan.mails.append((claimed, SendAccountMail(kind, account.email, token_id=token_id, language=account.language)))
    return plan
