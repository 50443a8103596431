"""Notifications: one each, whatever is played again; sent once, whatever the server says; low stock in few mails."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from domain.ids import stock_stream
from domain.inventory.stock_model import StockLow
from domain.journal.event_reads import load_events
from domain.journal.event_sql import found_subscriptions
from domain.notifications.model import SendNotification
from infra.clock import new_id
from ops.goods import NewOffer
from tests.builders import submit, write_member, write_offers
from tests.engine.parts import Rig
from tests.jobs.mailroom import GUEST, MAILS, Mailroom, a_mailroom, told
from workers.subscriptions import hand_over

pytestmark = pytest.mark.anyio

DUE = "SELECT extract(epoch FROM max(p.run_at) - now()) FROM pending p WHERE job = 'send_notifications'"


@pytest.fixture
async def room(rig: Rig) -> AsyncIterator[Mailroom]:
    async with a_mailroom(rig) as made:
        yield made


async def run_low(room: Mailroom, offer: NewOffer, *, version: int = 1, left: int = 2) -> None:
    low = StockLow(offer.variant_id, offer.seller_id, 0, left, 5)
    stream = stock_stream(offer.variant_id, offer.seller_id, 0)
    await room.happen(stream, "stock.low", msgspec.to_builtins(low), version=900 + version)


async def again(room: Mailroom) -> int:
    """Play all events again; return how many commands followed."""
    keys = await room.conn.fetch("SELECT stream, version FROM events WHERE type = ANY ($1)", sorted(MAILS.types or ()))
    events = await load_events(room.conn, [(row["stream"], row["version"]) for row in keys])
    async with room.rig.pool.acquire() as conn, conn.transaction():
        failed, follow_ups = await hand_over(conn, MAILS, room.rig.settings.limits(), events)
    assert failed == []
    return len(follow_ups)


async def test_an_event_that_is_played_again_is_told_nobody_twice(room: Mailroom):
    member = await write_member(room.conn, room.till.offer.seller_id)
    order = await room.order()
    await room.till.pay(order)
    await run_low(room, room.till.offer)
    await room.post()
    rows = await room.conn.fetch("SELECT * FROM notifications ORDER BY id")
    assert len(rows) == 4
    assert {row["recipient"] for row in rows} > {member}
    assert await again(room) == 0
    assert await room.conn.fetch("SELECT * FROM notifications ORDER BY id") == rows


async def test_one_row_for_an_event_a_recipient_and_a_channel(room: Mailroom):
    await room.order()
    await room.post()
    copy = (
        "INSERT INTO notifications (id, stream, version, audience, recipient, channel, kind)"
        " SELECT gen_random_uuid(), stream, version, audience, recipient, channel, 'other' FROM notifications"
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        await room.conn.execute(copy)


async def test_a_new_deployment_mails_nobody_about_its_past(room: Mailroom):
    await room.conn.execute("DELETE FROM subscriptions")
    await room.order()
    await found_subscriptions(room.conn, [(MAILS.name, MAILS.from_now)])
    assert await room.post() == []
    await room.order()
    assert len(await room.post()) == 1


async def test_the_row_says_under_which_message_id_it_was_sent_and_when(room: Mailroom):
    await room.order()
    (mail,) = await room.post()
    row = await room.conn.fetchrow("SELECT * FROM notifications")
    assert mail.message_id == row["message_id"] == f"<{row['id']}@shop.example>"
    assert row["attempts"] == 1
    assert row["sent_at"] is not None
    result = await room.conn.fetchval("SELECT result FROM outcomes ORDER BY id DESC LIMIT 1")
    assert msgspec.json.decode(result) == {"state": "sent", "message_id": mail.message_id, "reason": ""}


async def test_an_answer_that_was_lost_sends_the_same_mail_once_more(room: Mailroom):
    async def lose(session: Any) -> None:
        room.server.after_taking = None
        session.transport.abort()

    await room.order()
    await room.hear()
    room.server.after_taking = lose
    await room.send()
    assert await room.rows() == [("order_placed", "queued")]
    await room.due_now()
    await room.send()
    first, second = room.server.taken
    assert (first.message_id, first.text, first.html) == (second.message_id, second.text, second.html)
    assert first.message["Date"] == second.message["Date"]
    assert await room.conn.fetchval("SELECT attempts FROM notifications") == 2
    assert await room.rows() == [("order_placed", "sent")]


async def test_a_message_id_stays_when_the_sender_changes_between_two_tries(room: Mailroom):
    await room.order()
    await room.hear()
    room.server.to[GUEST, "DATA"] = "451 4.7.1 later"
    await room.send()
    await room.conn.execute("UPDATE notifications SET message_id = '<before@old.example>'")
    room.server.to.clear()
    await room.due_now()
    await room.send()
    assert [mail.message_id for mail in room.server.taken] == ["<before@old.example>"]


async def test_a_mail_that_is_refused_is_noted_and_not_tried_again(room: Mailroom):
    room.server.to[GUEST, "RCPT"] = f"550 5.1.1 <{GUEST}>: no such user"
    await room.order()
    assert await room.post() == []
    row = await room.conn.fetchrow("SELECT state, reason FROM notifications")
    assert tuple(row) == ("refused", "the mail server refused the recipient: 550 5.1.1")
    assert not await room.conn.fetchval("SELECT count(*) FROM pending WHERE job = 'send_notifications'")


async def test_what_was_sent_is_not_sent_again_by_another_command_about_it(room: Mailroom):
    await room.order()
    await room.post()
    notification = await room.conn.fetchval("SELECT id FROM notifications")
    repeated, unknown = await submit(room.conn, SendNotification(notification), SendNotification(new_id()))
    assert await room.post() == []
    assert await room.rig.statuses([repeated, unknown]) == ["succeeded", "rejected"]


async def test_low_stock_is_told_at_once_and_what_follows_is_gathered(room: Mailroom):
    seller = room.till.offer.seller_id
    member = await write_member(room.conn, seller)
    await run_low(room, room.till.offer)
    await room.hear()
    assert await room.conn.fetchval(DUE) <= 0
    await room.send()
    assert len(room.server.taken) == 1
    for number in range(30):
        await run_low(room, room.till.offer, version=2 + number, left=number % 5)
        if number % 10 == 0:
            await room.hear()
    await room.hear()
    assert 880 < await room.conn.fetchval(DUE) <= 900, "LOW_STOCK_MAIL_SECONDS after the last one"
    await room.send()
    assert len(room.server.taken) == 1, "it isn't due yet"
    (mail,) = await room.post()
    assert told([mail]) == [(f"{member.hex}@example.com", "Little is left of what you sell at The Shop")]
    assert mail.text.count(room.till.offer.sku) == 1
    assert "4 left, you are told from 5 on" in mail.text, "as it was last"
    states = await room.conn.fetch("SELECT state, count(*) AS n FROM notifications GROUP BY state ORDER BY state")
    assert [tuple(row) for row in states] == [("gathered", 29), ("sent", 2)]


async def test_many_offers_that_run_low_together_are_one_mail_for_each_member(room: Mailroom):
    offers = await write_offers(room.conn, offers=20)
    members = [await write_member(room.conn, offers[0].seller_id) for _ in range(2)]
    for offer in offers:
        await run_low(room, offer)
    mails = await room.post()
    assert len(mails) == len(members)
    for mail in mails:
        assert all(offer.sku in mail.text for offer in offers)


async def test_what_runs_low_while_a_mail_is_being_sent_is_in_the_next_one(room: Mailroom):
    first, second = await write_offers(room.conn, offers=2)
    await write_member(room.conn, first.seller_id)
    await run_low(room, first)
    await room.hear()
    room.server.to[await room.conn.fetchval("SELECT email FROM accounts"), "DATA"] = "451 4.7.1 later"
    await room.send()
    await run_low(room, second)
    room.server.to.clear()
    await room.hear()
    await room.due_now()
    await room.send()
    texts = [mail.text for mail in room.server.taken]
    assert [(first.sku in text, second.sku in text) for text in texts] in ([(True, False), (False, True)],
                                                                          [(False, True), (True, False)])  # fmt: skip


async def test_nobody_is_told_what_they_have_switched_off_but_what_they_need(room: Mailroom):
    buyer = uuid4()
    await switch_off(room, buyer, "order_shipped", "order_placed", "payment_failed")
    order = await room.order(buyer=buyer)
    assert len(await room.post()) == 1, "a confirmation of what was ordered can't be switched off"
    await room.till.pay(order, "tok_declined")
    assert await room.post() == []
    assert [kind for kind, _ in await room.rows()] == ["order_placed"]


async def test_what_is_switched_off_before_it_is_sent_is_not_sent(room: Mailroom):
    buyer = uuid4()
    order = await room.order(buyer=buyer)
    await room.post()
    await room.till.pay(order, "tok_declined")
    await room.hear()
    await switch_off(room, buyer, "payment_failed")
    assert await room.post() == []
    row = await room.conn.fetchrow("SELECT state, reason FROM notifications WHERE kind = 'payment_failed'")
    assert tuple(row) == ("skipped", "switched off")


async def switch_off(room: Mailroom, recipient: UUID, *kinds: str) -> None:
    await room.conn.execute(
        "INSERT INTO mail_preferences (recipient, switched_off) VALUES ($1, $2)", recipient, list(kinds)
    )
