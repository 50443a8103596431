"""Sample commands of the jobs that tell people by mail."""

from uuid import UUID, uuid4

import msgspec

from domain.accounts.model import Role
from domain.journal.model import SYSTEM, Command, Event
from domain.journal.sql import insert_events
from domain.notifications.model import SendNotification, TellPayout
from infra.clock import new_id
from jobs.mark_payouts_paid import mark_payouts_paid
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_account, write_member, write_offers
from tests.engine.parts import Rig
from tests.jobs.payout_samples import payouts_to_pay

WRITE = """
INSERT INTO notifications (id, stream, version, audience, recipient, kind) VALUES ($1, $2, 1, 'buyer', $3, $4)
"""


async def notifications_to_send(rig: Rig) -> list[Command]:
    """To a guest, to somebody with an account, to another guest; one that isn't there."""
    (offer,) = await write_offers(rig.conn)
    account = await write_account(rig.conn, Role.BUYER)
    found: list[Command] = []
    for buyer, email in ((uuid4(), "ada@example.com"), (account, None), (uuid4(), "grace@example.com")):
        command = msgspec.structs.replace(place(offer), email=email)
        (order,) = await submit(rig.conn, command, principal=buyer)
        await rig.drain(rig.runner(place_orders))
        notification = new_id()
        await rig.conn.execute(WRITE, notification, order, buyer, "order_placed")
        found.append(SendNotification(notification))
    return [*found, SendNotification(new_id())]


async def payouts_to_tell(rig: Rig) -> list[Command]:
    """A payout that was paid, from its first seller and from its end on, and one that isn't there."""
    paid, _ = await payouts_to_pay(rig)
    await submit(rig.conn, paid)
    await rig.drain(rig.runner(mark_payouts_paid))
    payout = paid.aggregate()
    assert payout is not None
    version = await rig.conn.fetchval("SELECT version FROM events WHERE stream = $1 AND type = 'payout.paid'", payout)
    for row in await rig.conn.fetch("SELECT seller_id FROM payout_items WHERE payout_id = $1", payout):
        await _join(rig, row["seller_id"])
    return [TellPayout(payout, version), TellPayout(payout, version, UUID(int=2**128 - 1)), TellPayout(new_id(), 1)]


async def _join(rig: Rig, seller: UUID) -> None:
    """Have somebody become a member, with the event that tells of it."""
    member = await write_member(rig.conn, seller)
    told = msgspec.json.encode({"account_id": member, "position": "owner"}).decode()
    last = await rig.conn.fetchval("SELECT max(version) FROM events WHERE stream = $1", seller)
    await insert_events(rig.conn, [Event(seller, last + 1, "seller.member_added", told, SYSTEM, "c")])
    await rig.conn.execute("UPDATE sellers SET version = $2 WHERE id = $1", seller, last + 1)


BUILDERS = {"send_notifications": notifications_to_send, "tell_payouts": payouts_to_tell}
