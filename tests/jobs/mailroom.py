"""A shop whose mails are sent: what happens is told to its subscription, and a real server takes the mails."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

import jobs
from domain.journal.event_sql import found_subscriptions
from domain.journal.model import SYSTEM, Command, Event
from domain.journal.sql import insert_events
from ops.goods import NewOffer
from tests.builders import place, submit
from tests.engine.parts import Rig, due_now, run_due
from tests.jobs.outside import mail_settings
from tests.jobs.paying import Till, a_till
from tests.smtp import MailServer, Taken, mail_server
from workers.effects import EffectRunner
from workers.subscriptions import deliver

MAILS = jobs.load_subscriptions()["mails"]
JOBS = jobs.load()
GUEST = "guest@example.com"


class Mailroom:
    """A till, and the mails that follow from what happens at it."""

    def __init__(self, till: Till, server: MailServer) -> None:
        self.till = till
        self.rig: Rig = till.rig
        self.conn = till.conn
        self.server = server

    async def order(
        self, *offers: NewOffer, email: str | None = GUEST, buyer: UUID | None = None, quantity: int = 1
    ) -> UUID:
        """Have an order placed."""
        command = replace(place(*(offers or (self.till.offer,)), quantity=quantity), email=email)
        (order,) = await submit(self.conn, command, principal=buyer)
        await self.till.run("place_orders")
        assert await self.rig.statuses([order]) == ["succeeded"]
        return order

    async def do(self, command: Command, *, principal: UUID | None = None) -> None:
        """Have a command carried out, with all that follows but the mails."""
        (command_id,) = await submit(self.conn, command, principal=principal)
        queued = "SELECT DISTINCT job FROM pending WHERE job <> 'send_notifications' ORDER BY job"
        while names := [row["job"] for row in await self.conn.fetch(queued)]:
            await self.till.run(*names)
        assert await self.rig.statuses([command_id]) == ["succeeded"]

    async def happen(self, stream: UUID, kind: str, data: Any, *, version: int = 1, actor: UUID = SYSTEM) -> None:
        """Have an event written that no job of the test would write."""
        event = Event(stream, version, kind, msgspec.json.encode(data).decode(), actor, "happened")
        await insert_events(self.conn, [event])

    async def hear(self) -> None:
        """What a worker's subscription does until it has read everything."""
        while True:
            report = await deliver(self.conn, MAILS, self.rig.settings.limits(), events_max=MAILS.events_max)
            assert report is not None
            assert report.failed == 0
            if not report.full:
                return

    async def send(self) -> None:
        """Have the mails sent that are due."""
        await run_due(self.rig, EffectRunner(JOBS["send_notifications"]))  # type: ignore[arg-type]

    async def post(self) -> list[Taken]:
        """Hear of what happened and send what follows, also what is put off; return the mails that were sent for it."""
        before = len(self.server.taken)
        await self.hear()
        await self.till.run("tell_payouts", "send_notifications")
        return self.server.taken[before:]

    async def due_now(self) -> None:
        await due_now(self.rig)

    async def rows(self) -> list[tuple[str, str]]:
        """Kind and state of each notification, oldest first."""
        found = await self.conn.fetch("SELECT kind, state FROM notifications ORDER BY id")
        return [(row["kind"], row["state"]) for row in found]


@asynccontextmanager
async def a_mailroom(rig: Rig, **environment: str) -> AsyncIterator[Mailroom]:
    async with a_till(rig) as till, mail_server() as server:
        with mail_settings(rig.settings, server.url(query="?starttls=off"), **environment):
            await found_subscriptions(rig.conn, [(MAILS.name, MAILS.from_now)])
            yield Mailroom(till, server)


def told(mails: Sequence[Taken]) -> list[tuple[str, str]]:
    """To whom, and under which subject without the order's number."""
    found = []
    for mail in mails:
        words = [word for word in str(mail.message["Subject"]).split() if word.count("-") != 2]
        found.append((mail.recipients[0], " ".join(words)))
    return sorted(found)
