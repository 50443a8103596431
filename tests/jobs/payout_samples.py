"""Sample commands of the jobs of payouts."""

from uuid import UUID

from domain.journal.model import Command
from domain.payments.payouts import (
    ApprovePayout,
    CollectPayout,
    FailedPayout,
    MarkPayoutFailed,
    MarkPayoutPaid,
)
from infra.clock import new_id
from jobs.approve_payouts import approve_payouts
from jobs.collect_payouts import collect_payouts
from tests.builders import submit, write_offers
from tests.engine.parts import Rig
from tests.settled import settled

CURRENCIES = ("USD", "EUR")
GONE = FailedPayout("the bank refused it")


async def _settle(rig: Rig) -> None:
    for currency in CURRENCIES:
        for offer in await write_offers(rig.conn, offers=2, sellers=2, currency=currency):
            await settled(rig, offer, 500, 700)


async def _collected(rig: Rig) -> list[UUID]:
    await _settle(rig)
    made = await submit(rig.conn, *(CollectPayout(currency) for currency in CURRENCIES))
    await rig.drain(rig.runner(collect_payouts))
    return made


async def payouts_to_collect(rig: Rig) -> list[Command]:
    """Two currencies in which something has settled, and one in which nothing has."""
    await _settle(rig)
    return [*(CollectPayout(currency) for currency in CURRENCIES), CollectPayout("KWD", 1)]


async def payouts_to_approve(rig: Rig) -> list[Command]:
    """Two that wait for approval, one that nobody knows."""
    return [*(ApprovePayout(payout) for payout in await _collected(rig)), ApprovePayout(new_id())]


async def payouts_to_pay(rig: Rig) -> list[Command]:
    """One that is approved, one that isn't."""
    approved, waiting = await _collected(rig)
    await submit(rig.conn, ApprovePayout(approved))
    await rig.drain(rig.runner(approve_payouts))
    return [MarkPayoutPaid(approved), MarkPayoutPaid(waiting)]


async def payouts_to_fail(rig: Rig) -> list[Command]:
    """One whole, one for a seller of two."""
    whole, part = await _collected(rig)
    seller = await rig.conn.fetchval("SELECT seller_id FROM payout_items WHERE payout_id = $1 LIMIT 1", part)
    return [MarkPayoutFailed(whole, GONE), MarkPayoutFailed(part, FailedPayout("no such account", (seller,)))]


BUILDERS = {
    "collect_payouts": payouts_to_collect,
    "approve_payouts": payouts_to_approve,
    "mark_payouts_paid": payouts_to_pay,
    "mark_payouts_failed": payouts_to_fail,
}
