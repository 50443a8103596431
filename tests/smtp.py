"""A real SMTP server on loopback, in the test's own event loop: it keeps what it takes and answers as it is told."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "ordermill", "pass/wörd@of:the%relay"
URL_PASSWORD = "pass%2Fw%C3%B6rd%40of%3Athe%25relay"
SENDER = "no-reply@shop.example"


class Taken:
    """A mail that the server took: its envelope, and the message as it came and as it reads."""

    def __init__(self, sender: str, recipients: list[str], options: list[str], raw: bytes) -> None:
        self.sender = sender
        self.recipients = recipients
        self.options = options
        self.raw = raw
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        self.message = message

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"]).strip()

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


class MailServer:
    """What the server took, and how it answers.

    ``to`` holds answers by recipient and command (``RCPT`` or ``DATA``): ``{("a@b.example", "RCPT"): "550 …"}``.
    ``after_taking`` runs when a mail has been taken, before the client hears of it.
    """

    def __init__(self, *, login: bool, without: tuple[str, ...]) -> None:
        self.taken: list[Taken] = []
        self.to: dict[tuple[str, str], str] = {}
        self.after_taking: Callable[[SMTP], Awaitable[None]] | None = None
        self.port = 0
        self.connections = 0
        self.open = 0
        self.open_max = 0
        self.seen: list[str] = []
        self._login = login
        self._without = without

    def url(self, scheme: str = "smtp", query: str = "") -> str:
        user = f"{USER}:{URL_PASSWORD}@" if self._login else ""
        return f"{scheme}://{user}127.0.0.1:{self.port}{query}"

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, name: str, answer: list[str]) -> Any:  # noqa: N802 - aiosmtpd's hook
        session.host_name = name
        self.seen.append(f"EHLO {name}")
        return [line for line in answer if line[4:] not in self._without]

    async def handle_RCPT(self, _server: Any, session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's hook
        self.seen.append(f"RCPT {address}")
        if self._login and not session.authenticated:
            return "530 5.7.0 log in first"
        answer = self.to.get((address, "RCPT"))
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's hook
        answer = self.to.get((envelope.rcpt_tos[0], "DATA"))
        if answer is not None:
            return answer
        self.taken.append(Taken(envelope.mail_from, envelope.rcpt_tos, envelope.mail_options, envelope.content))
        if self.after_taking is not None:
            await self.after_taking(server)
        return "250 2.0.0 taken"

    async def handle_QUIT(self, *_: Any) -> str:  # noqa: N802 - aiosmtpd's hook
        self.seen.append("QUIT")
        return "221 Bye"

    def authenticate(self, *given: Any) -> AuthResult:
        data = given[-1]
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=known, handled=False)


@asynccontextmanager
async def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    login: bool = False,
    without: tuple[str, ...] = (),
    port: int = 0,
) -> AsyncIterator[MailServer]:
    """Listen on a port of this machine; TLS and a login only if asked for, all extensions but those it is without."""
    mails = MailServer(login=login, without=without)
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    class Session(SMTP):
        def connection_made(self, transport: Any) -> None:
            if self._original_transport is None:
                mails.connections += 1
                mails.open += 1
                mails.open_max = max(mails.open_max, mails.open)
            super().connection_made(transport)

        def connection_lost(self, error: Any) -> None:
            mails.open -= 1
            super().connection_lost(error)

    def session() -> SMTP:
        made = Session(
            mails,
            hostname="relay.example",
            enable_SMTPUTF8="SMTPUTF8" not in without,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_require_tls=implicit is None,
            authenticator=mails.authenticate if login else None,
            loop=loop,
        )
        sessions.append(made)
        return made

    server = await loop.create_server(session, "127.0.0.1", port, ssl=implicit)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails
    finally:
        server.close()
        for made in sessions:
            if made.transport is not None:
                made.transport.close()
            if made._handler_coroutine is not None:
                made._handler_coroutine.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await made._handler_coroutine
        await server.wait_closed()


def certificate(folder: Path, *, name: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate it signed itself; the file is what a client has to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "trusted.pem", folder / "private.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(trusted, private)
    return context, trusted
