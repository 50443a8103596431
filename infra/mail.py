"""Mail leaves through here: to the mail server of ``MAIL_URL``, or to the console of whoever develops.

Invariant: ``send`` returns only when the server has taken the mail, and says otherwise whether a later try may
succeed. One connection for each mail: a mail is rare beside everything else a worker does, and a connection that is
kept would have to be looked after. No error shows a password, an address or a text of the server, which may quote one.
"""

import asyncio
import contextlib
import re
import ssl
import sys
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache
from typing import Protocol
from uuid import UUID

import aiosmtplib
import msgspec
from msgspec import Struct

from domain.accounts.model import Language
from infra import settings
from infra.parties import Bounds, Party
from infra.relay import Mailbox, Relay
from infra.settings import Settings

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""For each answer of the server. Some look at a mail for long before they take it."""
SENDING_SECONDS_MAX = 120.0
QUIT_SECONDS = 2.0
SENDING_SHARE = 0.9
"""Of a try's time: the rest is for parting, so that a mail that was taken is never given up as late."""

_ENHANCED = re.compile(r"[45]\.\d{1,3}\.\d{1,3}(?!\S)")


class MailRefusedError(Exception):
    """The mail can't be delivered to this address, whenever it is tried; the message says why."""


class MailDelayedError(Exception):
    """The mail was not sent, or nobody knows; ``definite`` says that the server answered, so that it was not."""

    def __init__(self, error: str, *, definite: bool) -> None:
        super().__init__(error)
        self.definite = definite


class Mailer(Protocol):
    """What takes a mail."""

    async def send(self, message: EmailMessage, recipient: Mailbox, *, seconds: float) -> None:
        """Have a mail on its way in at most ``seconds``; raises MailRefusedError or MailDelayedError."""


class ConsoleMailer:
    """Writes mails into the process's log, one-time links included: for a developer's own machine."""

    async def send(self, message: EmailMessage, recipient: Mailbox, *, seconds: float) -> None:  # noqa: ARG002 - a Mailer's
        """Write the mail's plain text as one line of JSON, as every line of the log is."""
        text = message.get_body(("plain",))
        line = {
            "event": "mail",
            "level": "info",
            "at": datetime.now(UTC),
            "to": recipient.address,
            "subject": str(message["Subject"]),
            "text": text.get_content().splitlines() if text is not None else [],
        }
        sys.stderr.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stderr.buffer.flush()


class SmtpMailer:
    """Hands each mail to one mail server over a connection of its own."""

    def __init__(self, relay: Relay, sender: Mailbox) -> None:
        self._relay = relay
        self._sender = sender
        # Made once: it reads all certificates that the system trusts (those of SSL_CERT_FILE, if that is set).
        self._trust = ssl.create_default_context()

    async def send(self, message: EmailMessage, recipient: Mailbox, *, seconds: float) -> None:
        """Return when the server has taken the mail."""
        relay = self._relay
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.user or None,
            password=relay.password or None,
            # Its own name, looked up, could take long and would tell about the network inside.
            local_hostname=self._sender.domain,
            timeout=ANSWER_SECONDS,
            use_tls=relay.tls == "implicit",
            start_tls=relay.tls == "starttls",
            tls_context=self._trust,
        )
        try:
            async with asyncio.timeout(seconds * SENDING_SHARE):
                await client.connect(timeout=CONNECT_SECONDS)
                await client.send_message(message, sender=self._sender.address, recipients=[recipient.address])
            # The server has the mail: how the connection ends changes nothing.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=min(QUIT_SECONDS, seconds * (1 - SENDING_SHARE) / 2))
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._verdict(error) from None
        finally:
            client.close()

    def _verdict(self, error: Exception) -> MailRefusedError | MailDelayedError:
        """What an error means for the mail. Only an answer about this recipient or this mail ends it."""
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            # There is one recipient.
            error = error.recipients[0]
        match error:
            case aiosmtplib.SMTPNotSupported():
                return MailRefusedError("the address isn't ASCII before its @, and the mail server has no SMTPUTF8")
            case aiosmtplib.SMTPRecipientRefused() if error.code >= 500:
                return MailRefusedError(f"the mail server refused the recipient: {_status(error)}")
            case aiosmtplib.SMTPDataError() if error.code >= 500:
                return MailRefusedError(f"the mail server refused the mail: {_status(error)}")
            case aiosmtplib.SMTPResponseException():
                said = f"{self._where()} answered {_status(error)} to {_ASKED.get(type(error), 'a command')}"
                return MailDelayedError(said, definite=400 <= error.code < 600)
            case aiosmtplib.SMTPTimeoutError() | aiosmtplib.SMTPServerDisconnected() | OSError():
                return MailDelayedError(f"{self._where()}: {str(error) or 'no answer in time'}", definite=False)
            case _:
                # What the library found missing: STARTTLS, or a way to log in.
                return MailDelayedError(f"{self._where()}: {error}", definite=True)

    def _where(self) -> str:
        return f"the mail server {self._relay.host}:{self._relay.port}"


_ASKED: dict[type[Exception], str] = {
    aiosmtplib.SMTPConnectResponseError: "our connection",
    aiosmtplib.SMTPHeloError: "our greeting",
    aiosmtplib.SMTPAuthenticationError: "our login",
    aiosmtplib.SMTPSenderRefused: "our MAIL_FROM",
    aiosmtplib.SMTPRecipientRefused: "the recipient",
    aiosmtplib.SMTPDataError: "the mail",
}


def _status(error: aiosmtplib.SMTPResponseException) -> str:
    """The codes of an answer (RFC 5321, RFC 3463) without its text."""
    enhanced = _ENHANCED.match(error.message)
    return f"{error.code} {enhanced[0]}" if enhanced else str(error.code)


class GuardedMailer:
    """Hands mails on to the mail server as the outside party it is; raises OutOfReachError besides."""

    def __init__(self, mailer: Mailer, party: Party) -> None:
        self._mailer = mailer
        self._party = party

    async def send(self, message: EmailMessage, recipient: Mailbox, *, seconds: float) -> None:
        """See Mailer."""
        try:
            await self._party.run(lambda left: self._mailer.send(message, recipient, seconds=left), seconds)
        except TimeoutError:
            raise MailDelayedError("the mail server gave no answer in time", definite=False) from None


def is_technical(error: BaseException) -> bool:
    """Whether it tells that the mail server is away: it gave no answer."""
    return isinstance(error, TimeoutError) or (isinstance(error, MailDelayedError) and not error.definite)


class Post(Struct, frozen=True):
    """What writing and sending mail takes: the way out, who sends, where links lead and what makes their tokens.

    ``language`` is that of who has chosen none; links that the api answers itself begin with ``api_base``.
    """

    mailer: Mailer
    sender: Mailbox
    link_base: str
    secret_key: str
    language: Language = Language.EN
    api_base: str = ""

    def message_id(self, key: UUID) -> str:
        """The Message-ID of the mail of a command or a notification: the same however often it is tried."""
        return f"<{key}@{self.sender.domain}>"


def post_of(config: Settings) -> Post:
    """Make what the settings say."""
    relay, sender = config.relay(), config.sender()
    mailer: Mailer = ConsoleMailer()
    if relay is not None:
        bounds = Bounds(SENDING_SECONDS_MAX, config.mail_concurrency, config.breaker_failures, config.breaker_seconds)
        party = Party("mail", bounds, is_technical)
        mailer = GuardedMailer(SmtpMailer(relay, sender), party)
    return Post(
        mailer, sender, config.link_base(), config.secret_key, language=config.mail_language, api_base=config.api_base()
    )


@cache
def post() -> Post:
    """This process's own, made of its settings when the first mail is sent."""
    return post_of(settings.load())
