"""Who gets which mail when somebody asks for a link."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec.structs import replace

from domain import ids
from domain.accounts.links import LINKS_MAX, SendLink, decide
from domain.accounts.mail import MailKind
from domain.accounts.model import Account, AccountStatus, Language, Purpose, Role
from domain.journal.model import Claimed
from domain.limits import Limits

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERIFY, RESET = Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD


def asked(purpose: Purpose, email: str = "ADA@example.com", number: int = 1) -> Claimed[SendLink]:
    return Claimed(ids.compose(number, bytes(8)), UUID(int=0), 0, "", NOW, SendLink(purpose, email))


def account(*, verified: bool, status: AccountStatus = AccountStatus.ACTIVE) -> dict[str, Account]:
    found = Account(
        UUID(int=7), "ada@example.com", "Ada", "hash", frozenset({Role.BUYER}), status, NOW if verified else None, 1, 1
    )
    return {"ada@example.com": found}


@pytest.mark.parametrize(
    ("purpose", "verified", "kind"),
    [
        (VERIFY, False, MailKind.VERIFY_EMAIL),
        (VERIFY, True, MailKind.ALREADY_REGISTERED),
        (RESET, False, MailKind.RESET_PASSWORD),
        (RESET, True, MailKind.RESET_PASSWORD),
    ],
)
def test_the_account_decides_which_mail_it_is(purpose: Purpose, verified: bool, kind: MailKind):
    plan = decide([asked(purpose)], account(verified=verified), {}, Limits())
    ((claimed, mail),) = plan.mails
    assert (mail.kind, mail.to) == (kind, "ada@example.com")
    assert [token.id for token in plan.tokens] == ([] if mail.token_id is None else [mail.token_id])
    assert mail.token_id in {None, claimed.id}
    assert mail.name == "", "an attacker may have chosen the name"


@pytest.mark.parametrize("verified", [False, True])
def test_the_mail_is_in_the_language_the_account_has_chosen(verified: bool):
    accounts = {key: replace(found, language=Language.DE) for key, found in account(verified=verified).items()}
    plan = decide([asked(VERIFY), asked(RESET, number=2)], accounts, {}, Limits())
    assert [mail.language for _, mail in plan.mails] == [Language.DE] * 2


def test_who_has_no_account_or_a_suspended_one_gets_nothing():
    for accounts in ({}, account(verified=True, status=AccountStatus.SUSPENDED)):
        plan = decide([asked(VERIFY), asked(RESET)], accounts, {}, Limits())
        assert (plan.tokens, plan.mails) == ([], [])


def test_a_link_lives_as_long_as_its_purpose_says():
    limits = Limits(verify_link_seconds=11, reset_link_seconds=22)
    plan = decide([asked(VERIFY), asked(RESET, number=2)], account(verified=False), {}, limits)
    assert [(token.purpose, token.seconds) for token in plan.tokens] == [(VERIFY, 11), (RESET, 22)]


def test_unused_links_are_few_whatever_is_asked_for_and_each_purpose_has_its_own():
    asking = [asked(RESET, number=n) for n in range(1, 10)] + [asked(VERIFY, number=99)]
    plan = decide(asking, account(verified=False), {(UUID(int=7), RESET): LINKS_MAX - 2}, Limits())
    assert [token.purpose for token in plan.tokens] == [RESET, RESET, VERIFY]
    assert len(plan.mails) == 3
