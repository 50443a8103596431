"""The job that sends mails about accounts: what each answer of the mail server does to it, and what it leaves."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.accounts.mail import MailKind, SendAccountMail
from domain.accounts.model import Purpose
from domain.journal.model import Status
from domain.journal.reads import load_jobs
from infra import mail
from infra.clock import new_id
from infra.onetime import read
from infra.settings import Settings
from jobs.send_account_mail import send_account_mail
from ops.processes import free_port
from tests.builders import SECRET_KEY, submit
from tests.engine.parts import Rig, due_now, run_due, until
from tests.jobs.outside import mail_settings
from tests.smtp import MailServer, mail_server
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio

ADA = "ada@lovelace.example"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        with mail_settings(settings, running.url(query="?starttls=off")):
            yield running


def reset(to: str = ADA) -> SendAccountMail:
    return SendAccountMail(MailKind.RESET_PASSWORD, to, token_id=new_id())


async def run(rig: Rig, *commands: SendAccountMail, **changes: Any) -> list[UUID]:
    ids = await submit(rig.conn, *commands)
    await run_due(rig, EffectRunner(msgspec.structs.replace(send_account_mail, **changes)))
    return ids


async def test_a_mail_is_sent_and_its_job_says_under_which_message_id(rig: Rig, server: MailServer):
    (command_id,) = await run(rig, reset())
    (taken,) = server.taken
    result = await rig.conn.fetchval("SELECT result FROM outcomes WHERE id = $1", command_id)
    assert msgspec.json.decode(result) == {"message_id": f"<{command_id}@shop.example>"}
    assert taken.message_id == f"<{command_id}@shop.example>"
    created = await rig.conn.fetchval("SELECT created_at FROM commands WHERE id = $1", command_id)
    assert taken.message["Date"].datetime == created.replace(microsecond=0)


async def test_the_token_stands_in_the_mail_and_nowhere_else(rig: Rig, server: MailServer, capfdbinary: Any):
    command = reset()
    await run(rig, command)
    (link,) = [line for line in server.taken[0].text.splitlines() if "token=" in line]
    token = link.partition("token=")[2]
    assert read(SECRET_KEY, Purpose.RESET_PASSWORD, token) == command.token_id
    rows = await rig.conn.fetch(
        "SELECT to_jsonb(c)::text FROM commands c UNION ALL SELECT to_jsonb(o)::text FROM outcomes o"
        " UNION ALL SELECT to_jsonb(e)::text FROM events e"
    )
    out, err = capfdbinary.readouterr()
    kept = "".join(row[0] for row in rows) + (out + err).decode()
    assert len(rows) == 2
    assert token not in kept
    # Not what follows the id in it either: that is the secret part.
    assert token[-40:] not in kept
    assert ADA.encode() not in out + err


async def test_a_4xx_is_tried_again_later_under_the_same_message_id(rig: Rig, server: MailServer):
    server.to[ADA, "DATA"] = "451 4.7.1 greylisted"
    (command_id,) = await run(rig, reset())
    row = await rig.pending(command_id)
    assert (row["attempts"], row["lease"]) == (1, None)
    assert row["error"].endswith("answered 451 4.7.1 to the mail")
    assert await rig.conn.fetchval("SELECT run_at > now() FROM pending")
    server.to.clear()
    await due_now(rig)
    await run_due(rig, EffectRunner(send_account_mail))
    assert await rig.statuses([command_id]) == ["succeeded"]
    assert [taken.message_id for taken in server.taken] == [f"<{command_id}@shop.example>"]


async def test_a_5xx_about_the_recipient_ends_it_rejected(rig: Rig, server: MailServer):
    server.to[ADA, "RCPT"] = f"550 5.1.1 <{ADA}>: no such user"
    refused, other = await run(rig, reset(), reset("grace@hopper.example"))
    assert await rig.statuses([refused, other]) == ["rejected", "succeeded"]
    problem = msgspec.json.decode(await rig.conn.fetchval("SELECT problem FROM outcomes WHERE id = $1", refused))
    assert problem == {
        "status": 422,
        "code": "mail_refused",
        "detail": "the mail server refused the recipient: 550 5.1.1",
    }


async def test_what_is_no_address_is_rejected_without_asking_the_server(rig: Rig, server: MailServer):
    ids = await run(rig, reset("ada@lovelace.example\r\nRCPT TO:<eve@elsewhere.example>"), reset("nobody"))
    assert await rig.statuses(ids) == ["rejected", "rejected"]
    assert server.connections == 0


async def test_an_answer_that_was_lost_sends_the_same_mail_once_more(rig: Rig, server: MailServer):
    async def lose(session: Any) -> None:
        server.after_taking = None
        session.transport.abort()
        await asyncio.Event().wait()

    server.after_taking = lose
    (command_id,) = await run(rig, reset())
    row = await rig.pending(command_id)
    assert (row["attempts"], row["generation"]) == (1, 0), "nobody knows whether it was sent"
    await due_now(rig)
    await run_due(rig, EffectRunner(send_account_mail))
    assert await rig.statuses([command_id]) == ["succeeded"]
    first, second = server.taken
    assert first.message_id == second.message_id
    assert first.text == second.text, "the same link, too"
    assert first.message["Date"] == second.message["Date"]


async def test_a_server_that_hangs_costs_a_try_within_the_lease(rig: Rig, server: MailServer):
    async def hang(*_: Any) -> str:
        await asyncio.Event().wait()
        return ""

    server.handle_RCPT = hang  # type: ignore[method-assign]
    (command_id,) = await run(rig, reset(), lease_seconds=2.0)
    row = await rig.pending(command_id)
    assert (row["attempts"], row["generation"], row["lease"]) == (1, 0, None)
    assert "no answer" in row["error"]


async def test_a_mail_nobody_takes_is_parked_in_the_end(rig: Rig, server: MailServer):
    server.to[ADA, "RCPT"] = "450 4.2.1 mailbox busy"
    (command_id,) = await run(rig, reset(), attempts_max=2)
    await due_now(rig)
    await run_due(rig, EffectRunner(msgspec.structs.replace(send_account_mail, attempts_max=2)))
    assert await rig.statuses([command_id]) == ["failed"]
    error = await rig.conn.fetchval("SELECT error FROM parked")
    assert error.endswith("answered 450 4.2.1 to the recipient")
    assert ADA not in error


async def test_no_more_connections_at_a_time_than_mail_servers_like(rig: Rig, server: MailServer):
    async def pause(_session: Any) -> None:
        await asyncio.sleep(0.01)

    server.after_taking = pause
    ids = await run(rig, *(reset(f"user{n}@example.com") for n in range(30)))
    assert set(await rig.statuses(ids)) == {"succeeded"}
    assert 1 < server.open_max <= rig.settings.mail_concurrency == 8
    assert server.connections == 30, "one each"


async def held_back(rig: Rig, ids: list[UUID]) -> list[Any]:
    """The rows of mails that wait because the breaker is open."""
    rows = [await rig.pending(command_id) for command_id in ids]
    return [row for row in rows if row is not None and row["error"].startswith("the breaker of mail is open: ")]


async def sent_in_the_end(rig: Rig, ids: list[UUID]) -> None:
    async def sent() -> bool:
        await due_now(rig)
        await run_due(rig, EffectRunner(send_account_mail))
        return set(await rig.statuses(ids)) == {"succeeded"}

    await until(sent)


async def test_while_the_server_is_away_mails_wait_untried_and_nobody_knocks(rig: Rig):
    port = free_port()
    with mail_settings(
        rig.settings,
        f"smtp://127.0.0.1:{port}?starttls=off",
        BREAKER_FAILURES="3",
        BREAKER_SECONDS="60",
        MAIL_CONCURRENCY="2",
    ):
        ids = await run(rig, *(reset(f"user{n}@example.com") for n in range(20)))
        waiting = await held_back(rig, ids)
        assert 16 <= len(waiting) <= 17, "one more may be under way when the third fails"
        assert {(row["attempts"], row["generation"], row["lease"]) for row in waiting} == {(0, 0, None)}
        shown = await load_jobs(rig.conn, ids)
        assert {shown[row["id"]].status for row in waiting} == {Status.QUEUED}
        assert {shown[row["id"]].error for row in waiting} == {row["error"] for row in waiting}, "an operator sees why"
        assert await rig.conn.fetchval("SELECT min(run_at) FILTER (WHERE attempts = 0) > now() + '50 s' FROM pending")
        async with mail_server(port=port) as server:
            for _ in range(3):
                await due_now(rig)
                await run_due(rig, EffectRunner(send_account_mail))
            assert server.connections == 0, "the network isn't touched while it is open"
        assert {row["attempts"] for row in await held_back(rig, ids)} == {0, 1}, "no try was counted"


async def test_when_the_server_is_back_every_mail_that_waited_is_sent_once(rig: Rig):
    port = free_port()
    with mail_settings(
        rig.settings, f"smtp://127.0.0.1:{port}?starttls=off", BREAKER_FAILURES="3", BREAKER_SECONDS="0.2"
    ):
        ids = await run(rig, *(reset(f"user{n}@example.com") for n in range(20)))
        assert await held_back(rig, ids)
        async with mail_server(port=port) as server:
            await sent_in_the_end(rig, ids)
            assert len(server.taken) == len({taken.message_id for taken in server.taken}) == 20


async def test_a_server_that_hangs_is_found_to_be_away_as_well(rig: Rig, server: MailServer):
    async def hang(*_: Any) -> str:
        await asyncio.Event().wait()
        return ""

    server.handle_RCPT = hang  # type: ignore[method-assign]
    mail.post.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAKER_FAILURES", "3")
        ids = await run(rig, *(reset(f"user{n}@example.com") for n in range(20)), lease_seconds=2.0)
        tried = rig.settings.mail_concurrency
        assert server.connections == tried, "the others found no free connection in time"
        await due_now(rig)
        await run_due(rig, EffectRunner(send_account_mail))
        waiting = await held_back(rig, ids)
        assert sorted(row["attempts"] for row in waiting) == [0] * (20 - tried) + [1] * tried
        assert server.connections == tried


async def test_what_the_server_says_of_a_mail_opens_no_breaker(rig: Rig, server: MailServer):
    for n in range(10):
        server.to[f"user{n}@example.com", "RCPT"] = "450 4.2.1 mailbox busy"
    ids = await run(rig, *(reset(f"user{n}@example.com") for n in range(10)))
    assert await held_back(rig, ids) == []
    assert server.connections == 10
