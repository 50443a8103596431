"""What every job that hears of payments does with the news: lock the orders, decide, write all in one transaction.

Locks go in the order of all jobs: orders, reservations, uses, stock. Where a payment came too late, stock and uses are
locked before the decision, which has to see what is left of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from domain import ids
from domain.connection import Connection
from domain.inventory.buyer_limits import LimitedHold
from domain.inventory.limit_sql import limited_rows
from domain.inventory.model import Movement, MovementKind, Reservation, ReservationStatus, StockKey
from domain.inventory.sale_sql import return_sold, return_units, together
from domain.inventory.sql import Ended, end_reservations, movement_rows, reservation_rows, restock
from domain.journal.declare import Batch
from domain.journal.model import SYSTEM, Cause
from domain.journal.sql import insert_events
from domain.journal.tally import Tally
from domain.orders.cancellation import CancellationPlan, OpenOrder
from domain.orders.model import Fulfilment
from domain.orders.sql import apply_cancellations, save_orders
from domain.payments import postings
from domain.payments.attempt import differs
from domain.payments.disputes import dispute
from domain.payments.invoice_model import IssueInvoices
from domain.payments.ledger import Posting, PostingKind
from domain.payments.ledger_sql import insert_postings, lock_settlements, move_accounts, settle_from
from domain.payments.model import Chargeback, Refund, VoidPayment
from domain.payments.news import DisputeNews, News, RefundNews
from domain.payments.postings import chargeback_id, fee_id
from domain.payments.refunding import credit_rest
from domain.payments.settlement import (
    Account,
    Alarm,
    SettlementPlan,
    Settling,
    end_refund,
    hear,
    may_be_late,
    pay_back,
    sell,
)
from domain.payments.sql import (
    find_orders,
    load_accounts,
    load_booked,
    load_chargebacks,
    load_lost,
    move_disputes,
    reverse_commission,
    save_attempts,
    save_chargebacks,
    save_refunds,
)
from domain.pricing.use_sql import apply_uses, load_uses, return_uses, set_redeemed, take_uses_again
from domain.pricing.uses import UseKey
from domain.writing import write
from infra import telemetry
from jobs.late import shelf_of

log = telemetry.logger()
DOCUMENTS_DELAY_SECONDS = 2
_TALLIED = {PostingKind.CAPTURE: Tally.CAPTURED_MINOR, PostingKind.REFUND_PAID: Tally.REFUNDED_MINOR}


class AlarmError(Exception):
    """Something about money that a person has to look at; the message has the figures."""


class Heard(Struct, frozen=True):
    """News of a payment, and whose doing it is that they are heard: of how far it came, of a refund, of a dispute.

    ``gateway`` is who says so, where that isn't the one who was asked.
    """

    order_id: UUID
    payment_id: UUID
    cause: Cause
    news: News | None = None
    refund: RefundNews | None = None
    dispute: DisputeNews | None = None
    gateway: str | None = None


class Settled(Struct, frozen=True):
    """The orders as they are now, and for each piece of news why it couldn't be taken in, or None."""

    accounts: Mapping[UUID, Account]
    differing: Sequence[str | None]


async def settle(batch: Batch[Any], heard: Sequence[Heard]) -> Settled:
    """Take news in, one piece after the other, and write what they come to."""
    conn = batch.conn
    accounts = await load_accounts(conn, {each.order_id for each in heard})
    disputes = {
        (accounts[each.order_id].attempts[each.payment_id].gateway, each.dispute.reference)
        for each in heard
        if each.dispute is not None
    }
    known = await load_chargebacks(conn, disputes)
    causes = {chargeback_id(chargeback) for chargeback in known.values()}
    booked = await load_booked(conn, causes | {fee_id(cause) for cause in causes})
    settling = Settling(SettlementPlan(), await shelf_of(batch, accounts, _late(accounts, heard)))
    plan, changed, differing = settling.plan, dict[tuple[str, str], Chargeback](), list[str | None]()
    for each in heard:
        account = accounts[each.order_id]
        if each.gateway is not None and each.gateway != account.attempts[each.payment_id].gateway:
            differing.append("it is another gateway's")
            continue
        if each.dispute is not None and _fits(account, each):
            # Before anything is given back: the bank may have paid it.
            attempt = account.attempts[each.payment_id]
            name = (attempt.gateway, each.dispute.reference)
            chargeback = dispute(
                account,
                attempt,
                each.dispute,
                known.get(name),
                liable=batch.limits.chargeback_liability,
                booked=booked,
                cause=each.cause,
                plan=plan,
            )
            if chargeback is not None:
                known[name] = changed[name] = chargeback
        why = None if each.news is None else hear(account, each.payment_id, each.news, each.cause, settling)
        differing.append(why)
        if why is not None:
            continue
        refund = None if each.refund is None else _refund_of(account, each.payment_id, each.refund)
        if refund is not None and each.refund is not None:
            end_refund(account, refund, each.refund, each.cause, plan)
        credit_rest(account, each.payment_id, each.cause, plan)
    await save_chargebacks(conn, list(changed.values()), batch.now)
    await write_plan(batch, plan, accounts)
    return Settled(accounts, differing)


def _fits(account: Account, heard: Heard) -> bool:
    """Whether news can be about the payment that they name."""
    return heard.news is None or differs(account.attempts[heard.payment_id], heard.news) is None


def _refund_of(account: Account, payment_id: UUID, news: RefundNews) -> Refund | None:
    """The refund that news are about: by our number, or by the gateway's name of it. None when it isn't ours."""
    if news.refund_no is not None:
        return account.refunds.get((payment_id, news.refund_no))
    same = (r for r in account.refunds.values() if r.payment_id == payment_id and r.reference == news.reference)
    return next(same, None)


async def settle_named(batch: Batch[Any], answers: Mapping[UUID, tuple[UUID, News]]) -> list[tuple[UUID, Account]]:
    """Take in answers that name their payments; return the orders' money by command, in the commands' order."""
    orders = await find_orders(batch.conn, {payment_id for payment_id, _ in answers.values()})
    heard = [
        Heard(orders[answers[c.id][0]], answers[c.id][0], Cause(c.id, c.correlation), answers[c.id][1])
        for c in batch.commands
    ]
    accounts = (await settle(batch, heard)).accounts
    return [(c.id, accounts[each.order_id]) for c, each in zip(batch.commands, heard, strict=True)]


async def load_of_payments(conn: Connection, payment_ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Lock the orders of payments and read their money, by payment; unknown ones are missing."""
    orders = await find_orders(conn, set(payment_ids))
    accounts = await load_accounts(conn, set(orders.values()))
    return {payment_id: accounts[order_id] for payment_id, order_id in orders.items()}


def _late(accounts: Mapping[UUID, Account], heard: Iterable[Heard]) -> set[UUID]:
    """The orders whose money may have come too late."""
    return {
        each.order_id
        for each in heard
        if each.news is not None
        and may_be_late(accounts[each.order_id], accounts[each.order_id].attempts[each.payment_id], each.news)
    }


async def write_plan(batch: Batch[Any], plan: SettlementPlan, accounts: Mapping[UUID, Account]) -> None:
    """Write what was decided about the money of locked orders, and move the stock last."""
    conn, now, cancelled = batch.conn, batch.now, plan.cancelled
    for order_id, owed, cause in cancelled.refunds:
        pay_back(accounts[order_id], owed, plan, reason="lines were cancelled", cause=cause)
    # What is left of a promised order may cost nothing.
    free = {order_id for order_id in cancelled.versions if sell(accounts[order_id].order, plan)}
    await save_attempts(conn, plan.attempts.values(), now)
    old = [refund for key, refund in plan.refunds.items() if key not in plan.new_refunds]
    await save_refunds(conn, plan.new_refunds.values(), old, now)
    await apply_cancellations(conn, cancelled, now)
    await save_orders(conn, plan.orders.values(), now)
    await insert_events(conn, plan.events + cancelled.events)
    moved = await _move_holds(batch, plan)
    taken_back = await reverse_commission(conn, cancelled.reversed)
    settled = {order_id for order_id, _ in cancelled.fulfilments} | set(plan.disputes)
    await lock_settlements(conn, settled | {p.order_id for p in plan.postings if p.order_id} if settled else ())
    await move_disputes(conn, plan.disputes)
    await return_uses(conn, cancelled.freed, plan.freed, now)
    await set_redeemed(conn, cancelled.redeemed)
    await _take_uses(batch, plan)
    await restock(conn, moved)
    orders = {order_id: account.order for order_id, account in accounts.items()}
    await settle_from(conn, _cancelled(orders, cancelled), now)
    await settle_from(conn, _delivered(orders, cancelled), now + timedelta(seconds=batch.limits.payout_hold_seconds))
    posted = plan.postings + postings.cancelled(orders, cancelled)
    for (order_id, cause_id), amounts in taken_back.items():
        posted += postings.commission_reversed(orders[order_id], cause_id, amounts)
    accounts_moved = Counter(await insert_postings(conn, posted, now))
    accounts_moved.update(await insert_postings(conn, await _paid_by_banks(conn, accounts, plan), now))
    await move_accounts(conn, accounts_moved)
    tally_money(batch, posted)
    correlations = {event.stream: event.correlation for event in plan.events + cancelled.events}
    # Nobody waits for a document: a little later there are many to issue at once.
    for order_id in sorted(free | _to_document(plan)):
        batch.follow_up(IssueInvoices(order_id), correlations.get(order_id, ""), delay_seconds=DOCUMENTS_DELAY_SECONDS)
    for command, correlation in plan.follow_ups:
        batch.follow_up(command, correlation)
    for payment_id, cause in cancelled.voids:
        batch.follow_up(VoidPayment(payment_id), cause.correlation)
    sound(batch, plan.alarms)


def sound(batch: Batch[Any], alarms: Iterable[Alarm]) -> None:
    """Tell a person of what has to be looked at."""
    for alarm in alarms:
        figures = {"payment_id": str(alarm.payment_id), "order_id": str(alarm.order_id), "detail": alarm.detail}
        log.error(alarm.what, **figures)
        batch.tally(Tally.ALARMS, alarm.what)
        telemetry.report(AlarmError(f"{alarm.what}: {figures}"), job=batch.commands[0].command.job)


def tally_money(batch: Batch[Any], posted: Iterable[Posting]) -> None:
    """Count what has come from buyers, and what went back to them."""
    for each in posted:
        if each.kind in _TALLIED:
            batch.tally(_TALLIED[each.kind], each.currency, sum(moved.amount_minor for moved in each.transfers))


async def _paid_by_banks(conn: Connection, accounts: Mapping[UUID, Account], plan: SettlementPlan) -> list[Posting]:
    """See whether banks have paid what buyers of orders with chargebacks are owed; by the ledger as it is written."""
    disputed = {
        order_id
        for order_id, account in accounts.items()
        if account.order.sold
        and (order_id in plan.disputes or any(each.taken_back_minor for each in account.attempts.values()))
    }
    found: list[Posting] = []
    for order_id, lost in (await load_lost(conn, disputed)).items():
        attempts = accounts[order_id].attempts.values()
        under_way = sum([max(0, each.asked_minor - each.refunded_minor) for each in attempts])
        found += postings.paid_by_banks(accounts[order_id].order, under_way, lost)
    return found


def _delivered(orders: Mapping[UUID, OpenOrder], cancelled: CancellationPlan) -> list[tuple[UUID, int]]:
    """The seller orders of which all that is left has arrived, or came back."""
    return [
        (order_id, orders[order_id].seller_nos[seller])
        for (order_id, seller), fulfilment in cancelled.fulfilments.items()
        if fulfilment in {Fulfilment.DELIVERED, Fulfilment.RETURNED}
    ]


def _cancelled(orders: Mapping[UUID, OpenOrder], cancelled: CancellationPlan) -> list[tuple[UUID, int]]:
    """The sold seller orders of which nothing is left: what they owe, such as a chargeback's fee, is due."""
    return [
        (order_id, orders[order_id].seller_nos[seller])
        for (order_id, seller), fulfilment in cancelled.fulfilments.items()
        if fulfilment is Fulfilment.CANCELLED and orders[order_id].sold
    ]


def _to_document(plan: SettlementPlan) -> set[UUID]:
    """The orders that were sold or of which something is given back: documents are missing for them."""
    sold = [each.order_id for each in plan.postings if each.kind is PostingKind.SALE and each.order_id is not None]
    lines = [each.order_id for each in plan.cancelled.credits]
    return {*sold, *lines, *(each.order_id for each in plan.cancelled.shipping_credits)}


async def _move_holds(batch: Batch[Any], plan: SettlementPlan) -> Ended:
    conn, cancelled = batch.conn, plan.cancelled
    reservations: list[Reservation] = []
    limited: list[LimitedHold] = []
    taken: dict[StockKey, tuple[int, int]] = {}
    for order_id, buyer, command_id, wanted in plan.taken:
        for number, (key, quantity) in wanted.lines.items():
            held = ids.child(command_id, ids.Kind.RESERVATION, number)
            reservations.append(Reservation(held, key, quantity, buyer, order_id, batch.now))
            taken[key] = (0, taken.get(key, (0, 0))[1] + quantity)
            if number in wanted.limits:
                limited.append(structs.replace(wanted.limits[number], reservation_id=held))
    movements = [Movement(r.id, MovementKind.RESERVED, r.key, 0, r.quantity, SYSTEM) for r in reservations]
    await write(conn, reservation_rows(reservations), movement_rows(movements), limited_rows(limited))
    sold = await end_reservations(
        conn, sorted(plan.sold), ReservationStatus.CONFIRMED, actor=SYSTEM, reason="order confirmed"
    )
    released = await end_reservations(
        conn,
        sorted(cancelled.released),
        ReservationStatus.RELEASED,
        actor=cancelled.released,
        reason="order cancelled",
    )
    returned = await return_sold(conn, cancelled.returned, cancelled.back, reason="order cancelled")
    put_back = await return_units(conn, cancelled.put_back, reason="refunded")
    return together(Ended([], taken), sold, released, returned, put_back)


async def _take_uses(batch: Batch[Any], plan: SettlementPlan) -> None:
    deltas: dict[UseKey, int] = {}
    for _, _, _, wanted in plan.taken:
        for key in wanted.uses:
            deltas[key] = deltas.get(key, 0) + 1
    counted = await load_uses(batch.conn, deltas) if deltas else {}
    # Promotions without a limit have no counters.
    if not await apply_uses(batch.conn, {key: delta for key, delta in deltas.items() if key in counted}):
        raise RuntimeError("uses that were free under their lock are gone")
    again = [(order_id, promotion) for order_id, _, _, wanted in plan.taken for promotion in wanted.promotions]
    await take_uses_again(batch.conn, again)
