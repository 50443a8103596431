"""Mail through real processes: a worker that dies at the worst moment, and what its log tells."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from domain.accounts.mail import MailKind, SendAccountMail
from infra.clock import new_id
from tests.builders import place, submit, write_offers
from tests.smtp import PASSWORD, SENDER, URL_PASSWORD, certificate, mail_server
from tests.system import System

pytestmark = pytest.mark.anyio

ADA = "ada@lovelace.example"


async def ended(conn: Any, command_id: Any) -> str:
    """How a command ended, once it has."""
    async with asyncio.timeout(30):
        while (status := await conn.fetchval("SELECT status FROM outcomes WHERE id = $1", command_id)) is None:
            await asyncio.sleep(0.05)
    return str(status)


async def test_a_worker_killed_after_the_server_took_the_mail_sends_the_same_one_once_more(
    system: System, conn: Any, tmp_path: Path
):
    context, trusted = certificate(tmp_path)
    async with mail_server(starttls=context, login=True) as server:

        async def kill(_session: Any) -> None:
            server.after_taking = None
            await asyncio.to_thread(system.kill, "worker")
            # Nobody is left to hear the answer.

        server.after_taking = kill
        await asyncio.to_thread(
            system.worker,
            LANES="io",
            MAIL_URL=server.url(),
            SSL_CERT_FILE=str(trusted),
            MAIL_FROM=f"The Shop <{SENDER}>",
            PUBLIC_URL="https://shop.example",
        )
        (command_id,) = await submit(conn, SendAccountMail(MailKind.RESET_PASSWORD, ADA, token_id=new_id()))
        async with asyncio.timeout(30):
            while not server.taken:
                await asyncio.sleep(0.02)
        lease = await conn.fetchval("SELECT lease FROM pending WHERE id = $1", command_id)
        assert lease is not None, "whoever held it is gone, and recorded nothing"
        await conn.execute("UPDATE pending SET run_at = now() WHERE id = $1", command_id)
        assert await ended(conn, command_id) == "succeeded"
        first, second = server.taken
    assert first.message_id == second.message_id == f"<{command_id}@shop.example>"
    assert first.text == second.text
    said = await asyncio.to_thread(system.log, "worker")
    (link,) = [line for line in first.text.splitlines() if "token=" in line]
    assert said.count("worker_ready") == 2
    shown = [what for what in (ADA, link.partition("token=")[2], PASSWORD, URL_PASSWORD) if what in said]
    assert shown == []
    assert "mail_goes_to_this_log" not in said


async def test_without_a_mail_server_the_link_stands_in_the_workers_log_which_says_so(system: System, conn: Any):
    await asyncio.to_thread(system.worker, LANES="io")
    (command_id,) = await submit(conn, SendAccountMail(MailKind.VERIFY_EMAIL, ADA, token_id=new_id()))
    assert await ended(conn, command_id) == "succeeded"
    lines = [msgspec.json.decode(line) for line in (await asyncio.to_thread(system.log, "worker")).splitlines()]
    assert lines[0]["event"] == "mail_goes_to_this_log"
    (mail,) = [line for line in lines if line["event"] == "mail"]
    assert mail["to"] == ADA
    assert [text for text in mail["text"] if text.startswith("http://localhost:3000/verify-email?token=")]


async def test_a_worker_killed_between_the_servers_yes_and_its_record_sends_that_notification_once_more(
    system: System, conn: Any
):
    (offer,) = await write_offers(conn)
    async with mail_server() as server:

        async def kill(_session: Any) -> None:
            server.after_taking = None
            await asyncio.to_thread(system.kill, "worker")
            # Nobody is left to hear the answer.

        await asyncio.to_thread(
            system.worker,
            MAIL_URL=server.url(query="?starttls=off"),
            MAIL_FROM=f"The Shop <{SENDER}>",
            PUBLIC_URL="https://shop.example",
        )
        async with asyncio.timeout(30):
            while not await conn.fetchval("SELECT count(*) FROM subscriptions WHERE name = 'mails'"):
                await asyncio.sleep(0.02)
        server.after_taking = kill
        (order,) = await submit(conn, replace(place(offer), email=ADA))
        async with asyncio.timeout(30):
            while not server.taken:
                await asyncio.sleep(0.02)
        notification = await conn.fetchrow("SELECT * FROM notifications WHERE stream = $1", order)
        assert (notification["state"], notification["attempts"]) == ("queued", 1), "whoever held it recorded nothing"
        await conn.execute("UPDATE pending SET run_at = now() WHERE job = 'send_notifications'")
        async with asyncio.timeout(30):
            while await conn.fetchval("SELECT state FROM notifications") != "sent":
                await asyncio.sleep(0.05)
        first, second = server.taken
    assert first.message_id == second.message_id == notification["message_id"]
    assert (first.text, first.html) == (second.text, second.html)
    assert await conn.fetchval("SELECT count(*) FROM notifications") == 1
    said = await asyncio.to_thread(system.log, "worker")
    assert said.count("worker_ready") == 2
    assert ADA not in said
