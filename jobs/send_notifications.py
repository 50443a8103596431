"""Send the mails of notifications: looked up and noted, written and handed to the mail server, recorded once.

A crash between the server's taking one and the record sends it once more, with the same Message-ID and the same words.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.accounts.model import Language, language_of
from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import (
    Answered,
    BatchOutcome,
    EffectOutcome,
    Prepared,
    PutOff,
    Ready,
    Rejected,
    Succeeded,
    TryAgain,
)
from domain.notifications.facts import Facts
from domain.notifications.model import NEEDED, NotificationState, Notified, SendNotification
from domain.notifications.reads import ToSend, load_facts, load_to_send
from domain.notifications.sql import begin_tries, end_notifications, lock_notifications
from domain.rejections import Code, Rejection
from infra import mail, notification_letters
from infra.mail import MailDelayedError, MailRefusedError
from infra.notification_letters import Letter
from infra.parties import OutOfReachError
from infra.settings import MAIL_CONCURRENCY_MAX
from jobs.send_account_mail import ATTEMPTS_MAX

UNKNOWN = Rejection(404, Code.NOT_FOUND, "no such notification")


async def prepare(batch: Batch[SendNotification]) -> Sequence[Prepared]:
    """See which are still to be sent, and read where to and what they tell."""
    ids = [c.command.notification_id for c in batch.commands]
    await lock_notifications(batch.conn, ids)
    known = await load_to_send(batch.conn, ids)
    queued = [n for n in known.values() if n.state is NotificationState.QUEUED]
    facts = await load_facts(batch.conn, [n for n in queued if not _in_vain(n)])
    skipped = {n.id: _in_vain(n) or "what it tells of is gone" for n in queued if n.id not in facts}
    await end_notifications(batch.conn, [(key, NotificationState.SKIPPED, why) for key, why in skipped.items()])
    post = mail.post()
    letters = {n.id: _letter(n, facts[n.id], post.message_id(n.id), post.language) for n in queued if n.id in facts}
    await begin_tries(batch.conn, [(letter.id, letter.message_id) for letter in letters.values()])
    return [_prepared(known.get(key), skipped.get(key), letters.get(key)) for key in ids]


def _in_vain(n: ToSend) -> str:
    """Why there is no use in sending it; nothing if there is."""
    if n.address is None:
        return "nobody to send it to"
    return "switched off" if n.switched_off and n.kind not in NEEDED else ""


def _letter(n: ToSend, facts: Facts, message_id: str, language: Language) -> Letter:
    return Letter(
        id=n.id,
        kind=n.kind,
        to=n.address or "",
        name=n.name,
        language=language_of(n.language) or language,
        message_id=n.message_id or message_id,
        date=n.due_at,
        facts=facts,
    )


def _prepared(n: ToSend | None, skipped: str | None, letter: Letter | None) -> Prepared:
    if n is None:
        return Rejected(UNKNOWN)
    if letter is not None:
        return Ready(letter)
    if n.state is NotificationState.REFUSED:
        return Rejected(Rejection(422, Code.MAIL_REFUSED, "the mail server has refused it"))
    if skipped is not None:
        return Succeeded(Notified(NotificationState.SKIPPED, reason=skipped))
    return Succeeded(Notified(n.state, n.message_id))


async def settle(batch: Batch[SendNotification], answers: Mapping[UUID, str | None]) -> Sequence[BatchOutcome]:
    """Note what became of them: None is sent, a text says why the server refused."""
    ids = [c.command.notification_id for c in batch.commands]
    ends = [
        (c.command.notification_id, NotificationState.SENT if why is None else NotificationState.REFUSED, why or "")
        for c, why in ((c, answers[c.id]) for c in batch.commands)
    ]
    await lock_notifications(batch.conn, ids)
    await end_notifications(batch.conn, ends)
    known = await load_to_send(batch.conn, ids)
    return [
        Succeeded(Notified(NotificationState.SENT, known[key].message_id))
        if state is NotificationState.SENT
        else Rejected(Rejection(422, Code.MAIL_REFUSED, why))
        for key, state, why in ends
    ]


@effect(
    SendNotification,
    prepare=prepare,
    settle=settle,
    lease_seconds=120.0,
    attempts_max=ATTEMPTS_MAX,
    concurrency=MAIL_CONCURRENCY_MAX,
)
async def send_notifications(attempt: Attempt[SendNotification]) -> EffectOutcome:
    """Send one mail. Only what the server says of this recipient or this mail ends it refused."""
    letter: Letter = attempt.given
    post = mail.post()
    try:
        message, recipient = notification_letters.write(letter, post)
        await post.mailer.send(message, recipient, seconds=attempt.deadline_seconds)
    except MailRefusedError as refused:
        return Answered(str(refused))
    except MailDelayedError as delayed:
        return TryAgain(str(delayed), definite=delayed.definite)
    except OutOfReachError as away:
        return PutOff(str(away), away.after_seconds)
    return Answered(None)
