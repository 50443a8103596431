"""Mail over real SMTP on loopback: what is taken, what is refused, what is tried again, and what nobody gets to see."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.accounts.mail import MailKind, SendAccountMail
from infra import letters
from infra.clock import new_id
from infra.mail import MailDelayedError, MailRefusedError, Post, post_of
from infra.relay import mailbox
from infra.settings import read
from tests.builders import SECRET_KEY
from tests.smtp import PASSWORD, SENDER, URL_PASSWORD, USER, certificate, mail_server

pytestmark = pytest.mark.anyio

ADA = "ada@lovelace.example"
OFF = "?starttls=off"


def post_to(url: str, **given: str) -> Post:
    return post_of(
        read(
            {
                "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "SECRET_KEY": SECRET_KEY,
                "MAIL_URL": url,
                "MAIL_FROM": f'"Bücher, Märkte & Co." <{SENDER}>',
                "PUBLIC_URL": "https://shop.example/en",
                **given,
            }
        )
    )


def written(post: Post, to: str = ADA, kind: MailKind = MailKind.PASSWORD_CHANGED, **fields: Any) -> EmailMessage:
    command = SendAccountMail(kind, to, **fields)
    recipient = letters.recipient_at(command.to)
    return letters.write(command, recipient, post, message_id=post.message_id(new_id()), date=datetime.now(UTC))


async def send(post: Post, to: str = ADA, *, seconds: float = 10.0) -> EmailMessage:
    message = written(post, to)
    await post.mailer.send(message, mailbox(to), seconds=seconds)
    return message


async def test_a_mail_is_taken_with_its_headers_and_both_its_parts():
    async with mail_server() as server:
        sent = await send(post_to(server.url(query=OFF)))
        (taken,) = server.taken
    assert (taken.sender, taken.recipients) == (SENDER, [ADA])
    message = taken.message
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Bücher, Märkte & Co.", SENDER)
    assert message["To"] == ADA
    assert message["Subject"] == "Your password for Bücher, Märkte & Co. was changed"
    assert message["Message-ID"] == sent["Message-ID"]
    assert taken.message_id.endswith("@shop.example>")
    assert abs((message["Date"].datetime - datetime.now(UTC)).total_seconds()) < 60
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert "The password of your account at Bücher, Märkte & Co. was changed." in taken.text
    assert "<p>The password of your account at Bücher, Märkte &amp; Co. was changed.</p>" in taken.html
    assert server.seen == ["EHLO shop.example", f"RCPT {ADA}", "QUIT"], "one connection, properly ended"


async def test_nothing_but_ascii_is_sent_to_a_server_that_wants_nothing_else():
    async with mail_server(without=("8BITMIME", "SMTPUTF8")) as server:
        await send(post_to(server.url(query=OFF)))
        (taken,) = server.taken
    assert taken.raw.isascii()
    assert max(len(line) for line in taken.raw.splitlines()) <= 998
    assert "Bücher" in taken.text


async def test_a_server_without_starttls_gets_no_mail():
    async with mail_server() as server:
        with pytest.raises(MailDelayedError, match=r"127\.0\.0\.1:\d+: .*STARTTLS .*not supported") as caught:
            await send(post_to(server.url()))
        assert server.taken == []
        assert [word for word in server.seen if word.startswith("RCPT")] == []
    assert caught.value.definite


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have a certificate trusted, as an operator does: by SSL_CERT_FILE."""
    return lambda file: monkeypatch.setenv("SSL_CERT_FILE", str(file))


async def test_starttls_with_a_trusted_certificate_takes_login_and_mail(tmp_path: Path, trusting: Any):
    context, trusted = certificate(tmp_path)
    trusting(trusted)
    async with mail_server(starttls=context, login=True) as server:
        await send(post_to(server.url()))
        assert len(server.taken) == 1


async def test_tls_from_the_first_byte_takes_login_and_mail(tmp_path: Path, trusting: Any):
    context, trusted = certificate(tmp_path)
    trusting(trusted)
    async with mail_server(implicit=context, login=True) as server:
        await send(post_to(server.url("smtps")))
        assert len(server.taken) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_nobody_trusts_gets_neither_login_nor_mail(tmp_path: Path, scheme: str):
    context, _ = certificate(tmp_path)
    tls = {"starttls": context} if scheme == "smtp" else {"implicit": context}
    async with mail_server(**tls, login=True) as server:
        with pytest.raises(MailDelayedError, match="certificate verify failed") as caught:
            await send(post_to(server.url(scheme)))
        assert server.taken == []
    assert PASSWORD not in str(caught.value)


async def test_a_certificate_of_another_host_gets_no_mail(tmp_path: Path, trusting: Any):
    context, trusted = certificate(tmp_path, name="192.0.2.1")
    trusting(trusted)
    async with mail_server(starttls=context) as server:
        with pytest.raises(MailDelayedError, match=r"IP address mismatch"):
            await send(post_to(server.url()))
        assert server.taken == []


async def test_a_wrong_password_is_tried_again_and_never_shown(tmp_path: Path, trusting: Any):
    """Every mail would be lost for an operator's slip if this were a refusal."""
    context, trusted = certificate(tmp_path)
    trusting(trusted)
    async with mail_server(starttls=context, login=True) as server:
        url = server.url().replace(URL_PASSWORD, "another-password")
        with pytest.raises(MailDelayedError, match=r"answered 535 5\.7\.8 to our login") as caught:
            await send(post_to(url))
        assert server.taken == []
    assert caught.value.definite
    assert "another-password" not in str(caught.value)
    assert USER not in str(caught.value)
    assert caught.value.__cause__ is None


REFUSED = {
    "no such recipient": ("RCPT", f"550 5.1.1 <{ADA}> is not known here", "the recipient: 550 5.1.1"),
    "a recipient refused without more": ("RCPT", "553 never", "the recipient: 553"),
    "the mail itself": ("DATA", f"554 5.7.1 {ADA} doesn't want it", "the mail: 554 5.7.1"),
}


@pytest.mark.parametrize(("command", "answer", "told"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_5xx_about_the_recipient_or_the_mail_is_final(command: str, answer: str, told: str):
    async with mail_server() as server:
        server.to[ADA, command] = answer
        with pytest.raises(MailRefusedError, match=f"the mail server refused {told}$") as caught:
            await send(post_to(server.url(query=OFF)))
    assert ADA not in str(caught.value), "what a server says may quote the address"


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("code", ["451 4.7.1", "421 4.3.2", "452 4.2.2"])
async def test_a_4xx_means_later(command: str, code: str):
    async with mail_server() as server:
        server.to[ADA, command] = f"{code} {ADA}: later, please"
        with pytest.raises(MailDelayedError, match=f"answered {code} to the") as caught:
            await send(post_to(server.url(query=OFF)))
        assert server.taken == []
    assert caught.value.definite
    assert ADA not in str(caught.value)


async def test_a_5xx_about_ourselves_means_later():
    """That nobody may send as MAIL_FROM is for the operator to mend; the mails wait."""

    async def refuse(server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        return "553 5.7.1 not your address"

    async with mail_server() as server:
        server.handle_MAIL = refuse  # type: ignore[attr-defined]
        with pytest.raises(MailDelayedError, match=r"answered 553 5\.7\.1 to our MAIL_FROM") as caught:
            await send(post_to(server.url(query=OFF)))
    assert caught.value.definite


async def test_a_server_that_is_away_means_later(free_tcp_port: int):
    with pytest.raises(MailDelayedError, match=f"127.0.0.1:{free_tcp_port}") as caught:
        await send(post_to(f"smtp://127.0.0.1:{free_tcp_port}"))
    assert not caught.value.definite


async def hang(*_: Any) -> str:
    await asyncio.Event().wait()
    return ""


async def test_a_server_that_stops_answering_is_given_up_in_time():
    async with mail_server() as server:
        server.handle_RCPT = hang  # type: ignore[method-assign]
        started = asyncio.get_running_loop().time()
        with pytest.raises(MailDelayedError, match="no answer in time") as caught:
            await send(post_to(server.url(query=OFF)), seconds=0.5)
        assert asyncio.get_running_loop().time() - started < 5, "by the try's time, not by the answer's"
    assert not caught.value.definite


async def test_an_answer_lost_after_the_mail_was_taken_is_not_definite():
    async def lose(session: Any) -> None:
        session.transport.abort()
        await asyncio.Event().wait()

    async with mail_server() as server:
        server.after_taking = lose
        with pytest.raises(MailDelayedError) as caught:
            await send(post_to(server.url(query=OFF)))
        assert len(server.taken) == 1
    assert not caught.value.definite


async def test_a_mail_that_was_taken_is_sent_though_the_server_does_not_part_properly():
    async with mail_server() as server:
        server.handle_QUIT = hang  # type: ignore[method-assign]
        await send(post_to(server.url(query=OFF)), seconds=2.0)
        assert len(server.taken) == 1


async def test_an_international_domain_goes_out_in_ascii():
    async with mail_server(without=("SMTPUTF8",)) as server:
        await send(post_to(server.url(query=OFF)), "ada@Faß.example")
        (taken,) = server.taken
    assert taken.recipients == ["ada@xn--fa-hia.example"], "as today's standard has it: fass.example is someone else's"


async def test_an_address_that_is_not_ascii_goes_to_servers_that_take_it():
    async with mail_server() as server:
        await send(post_to(server.url(query=OFF)), "用户@例子.example")
        (taken,) = server.taken
    assert taken.recipients == ["用户@例子.example"]
    assert "SMTPUTF8" in taken.options
    assert taken.message["To"] == "用户@例子.example"


async def test_an_address_that_is_not_ascii_is_refused_for_a_server_without_smtputf8():
    async with mail_server(without=("SMTPUTF8",)) as server:
        with pytest.raises(MailRefusedError, match="SMTPUTF8"):
            await send(post_to(server.url(query=OFF)), "用户@例子.example")
        assert server.taken == []


async def test_the_console_shows_a_mail_with_its_link_in_one_line_of_json(capfdbinary: Any):
    post = post_to("console:", MAIL_FROM="", PUBLIC_URL="")
    message = written(post, kind=MailKind.VERIFY_EMAIL, token_id=new_id())
    await post.mailer.send(message, mailbox(ADA), seconds=1.0)
    out, err = capfdbinary.readouterr()
    assert out == b""
    (line,) = err.splitlines()
    shown = msgspec.json.decode(line)
    assert (shown["event"], shown["to"]) == ("mail", ADA)
    assert shown["subject"] == "Confirm your e-mail address for Ordermill"
    (link,) = [text for text in shown["text"] if "?token=" in text]
    assert link.startswith("http://localhost:3000/verify-email?token=")
