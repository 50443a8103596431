"""Send a mail about an account: written from its templates, handed to the mail server, recorded once.

A crash between the server's taking it and the record sends it once more, with the same Message-ID.
"""

from msgspec import Struct

from domain.accounts.mail import SendAccountMail
from domain.journal.declare import Attempt, effect
from domain.journal.model import EffectOutcome, PutOff, Rejected, Succeeded, TryAgain
from domain.rejections import Code, Rejection
from infra import letters, mail
from infra.mail import MailDelayedError, MailRefusedError
from infra.parties import OutOfReachError
from infra.settings import MAIL_CONCURRENCY_MAX

ATTEMPTS_MAX = 30
"""About half a day, with the engine's back-off: longer than most mail servers are away, and than a link is of use."""


class MailSent(Struct, frozen=True):
    """Under which Message-ID the mail server took the mail."""

    message_id: str


@effect(SendAccountMail, lease_seconds=120.0, attempts_max=ATTEMPTS_MAX, concurrency=MAIL_CONCURRENCY_MAX)
async def send_account_mail(attempt: Attempt[SendAccountMail]) -> EffectOutcome:
    """Send one mail. Only what the server says of this recipient or this mail ends it refused."""
    post, claimed = mail.post(), attempt.claimed
    message_id = post.message_id(claimed.id)
    try:
        recipient = letters.recipient_at(claimed.command.to)
        message = letters.write(claimed.command, recipient, post, message_id=message_id, date=claimed.created_at)
        await post.mailer.send(message, recipient, seconds=attempt.deadline_seconds)
    except MailRefusedError as refused:
        return Rejected(Rejection(422, Code.MAIL_REFUSED, str(refused)))
    except MailDelayedError as delayed:
        return TryAgain(str(delayed), definite=delayed.definite)
    except OutOfReachError as away:
        return PutOff(str(away), away.after_seconds)
    return Succeeded(MailSent(message_id))
