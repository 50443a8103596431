"""Sample commands of each job, with the data they need: what the contract test runs every job on.

A new job needs one builder here; the contract test says so when it has none. A builder returns independent
commands: each must end the same way whatever the order they run in.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from domain.accounts.links import SendLink
from domain.accounts.mail import WITH_TOKEN, MailKind, SendAccountMail
from domain.accounts.model import Purpose
from domain.catalog.listing import RelistProducts
from domain.catalog.offer_sql import apply_offers, load_states
from domain.catalog.offers import WantedOffer, decide
from domain.catalog.relist_sql import relist_sellers
from domain.inventory.model import ExpireReservations
from domain.journal.model import SYSTEM, Command
from domain.journal.sweeps import PruneExpired, PruneJournal, RescueRuns
from domain.operation.auditing import AuditCheck, SweepAudit
from domain.orders.model import ApplyPromotions, CancelOrder, CodesMode, ConfirmOrder, PlaceOrder
from domain.payments.sandbox import SandboxData, SandboxWebhook, SendSandboxWebhook
from domain.pricing.codes import MakeCodes, NewCodes
from domain.pricing.promotion_model import Level, PercentOff, PromotionState
from domain.pricing.promotion_sweep import SweepPromotions
from domain.pricing.scope import Scope
from domain.pricing.snapshot import SnapshotCommissions
from infra.clock import new_id
from jobs.cancel_orders import cancel_orders
from jobs.confirm_orders import confirm_orders
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_account, write_offers
from tests.engine.parts import Rig
from tests.jobs import endpoints, fulfilment_samples, mail_samples, payment_samples, payout_samples, return_samples
from tests.jobs import stock_samples as stock
from tests.jobs.outside import REFUSED_WEBHOOK, UNKNOWN
from tests.promotions import write_promotion

NEW_CART_EVENT = """
INSERT INTO events (stream, version, type, data, actor)
VALUES ($1, 1, 'cart.created', jsonb_build_object('owner', $2::uuid, 'currency', 'USD', 'lines', '[]'::jsonb), $2)
"""
Builder = Callable[[Rig], Awaitable[list[Command]]]


async def orders_to_place(rig: Rig) -> list[Command]:
    """Orders of one to three sellers, one of too many units, one of an offer nobody knows."""
    offers = await write_offers(rig.conn, offers=6, sellers=3, units=100)
    (unknown,) = await write_offers(rig.conn, units=1)
    missing = place(unknown)
    line = missing.lines[0]
    nobody = PlaceOrder("USD", (type(line)(variant_id=uuid4(), seller_id=line.seller_id, quantity=1),))
    return [
        place(offers[0]),
        place(*offers[:3], quantity=2),
        place(*reversed(offers), quantity=3),
        place(offers[4], offers[4]),
        place(offers[5], quantity=101),
        nobody,
    ]


async def _placed(rig: Rig, count: int, *, lines: int = 2) -> list[Any]:
    offers = await write_offers(rig.conn, offers=lines, sellers=2, units=1_000)
    ids = await submit(rig.conn, *[place(*offers) for _ in range(count)])
    await rig.drain(rig.runner(place_orders))
    return ids


async def orders_to_cancel(rig: Rig) -> list[Command]:
    """Cancellations: whole, of a line, of a line that isn't there, of an order that was refused."""
    whole, line, unknown = await _placed(rig, 3)
    (nothing,) = await write_offers(rig.conn, units=0)
    (refused,) = await submit(rig.conn, place(nothing))
    await rig.drain(rig.runner(place_orders))
    return [
        CancelOrder(whole),
        CancelOrder(line, lines=(1,), reason="changed my mind"),
        CancelOrder(unknown, lines=(7,)),
        CancelOrder(refused),
    ]


async def _withdraw(rig: Rig, job: str) -> None:
    """Take back the commands of a job that nothing has come of."""
    gone = "WITH gone AS (DELETE FROM pending WHERE job = $1 RETURNING id)"
    await rig.conn.execute(f"{gone} DELETE FROM commands WHERE id IN (SELECT id FROM gone)", job)


async def orders_to_confirm(rig: Rig) -> list[Command]:
    """Confirmations of orders that cost nothing, of one that costs something, of one that isn't there."""
    free = await write_offers(rig.conn, offers=2, units=1_000, price=0)
    ids = await submit(rig.conn, *[place(*free) for _ in range(2)])
    await rig.drain(rig.runner(place_orders))
    # What placing had follow is what is submitted here.
    await _withdraw(rig, "confirm_orders")
    (costly,) = await _placed(rig, 1)
    return [*(ConfirmOrder(order) for order in ids), ConfirmOrder(costly), ConfirmOrder(new_id())]


async def orders_to_reprice(rig: Rig) -> list[Command]:
    """Codes for orders that gave others, gave none, are cancelled, were refused; a code that nobody knows."""
    offers = await write_offers(rig.conn, offers=2, sellers=2, units=1_000)
    mine = Scope(sellers=tuple(offer.seller_id for offer in offers))
    name = new_id().hex
    old, new, free = f"old-{name}", f"new-{name}", f"free-{name}"
    percent, all_of_it = PercentOff(Level.ORDER, 1_000), PercentOff(Level.LINE, 10_000)
    await write_promotion(rig.conn, old, benefit=percent, scope=mine, uses_max=100, uses_per_user_max=3)
    await write_promotion(rig.conn, new, benefit=percent, scope=mine, uses_max=100)
    await write_promotion(rig.conn, free, benefit=all_of_it, scope=mine)
    (nothing,) = await write_offers(rig.conn, units=0)
    ids = await submit(
        rig.conn,
        *(replace(place(*offers), codes=(old,)) for _ in range(4)),
        *(place(*offers) for _ in range(3)),
        place(nothing),
    )
    await rig.drain(rig.runner(place_orders))
    await submit(rig.conn, CancelOrder(ids[3]))
    await rig.drain(rig.runner(cancel_orders))
    best_effort = CodesMode.BEST_EFFORT
    return [
        ApplyPromotions(ids[0], (new,)),
        ApplyPromotions(ids[1]),
        ApplyPromotions(ids[2], (old,)),
        ApplyPromotions(ids[3], (new,)),
        ApplyPromotions(ids[4], (old, "nobody-s")),
        ApplyPromotions(ids[5], (old, "nobody-s"), best_effort),
        ApplyPromotions(ids[6], (free,)),
        ApplyPromotions(ids[7], (new,)),
    ]


async def commissions_to_snapshot(rig: Rig) -> list[Command]:
    """Snapshots of confirmed orders, of one that isn't, of one that isn't there."""
    confirmations = await orders_to_confirm(rig)
    await submit(rig.conn, *confirmations)
    await rig.drain(rig.runner(confirm_orders))
    await _withdraw(rig, "snapshot_commissions")
    return [SnapshotCommissions(command.order_id) for command in confirmations if isinstance(command, ConfirmOrder)]


async def codes_to_make(rig: Rig) -> list[Command]:
    """Codes that are listed, some of them twice, and made up; of a promotion that has them, of one that ended."""
    there = new_id().hex.upper()
    one, other = await write_promotion(rig.conn, there), await write_promotion(rig.conn, state=PromotionState.DRAFT)
    ended = await write_promotion(rig.conn, state=PromotionState.ENDED)
    listed = tuple(new_id().hex for _ in range(3))
    return [
        MakeCodes(one.id, NewCodes((*listed, listed[0].upper(), there))),
        MakeCodes(one.id, NewCodes(count=40)),
        MakeCodes(other.id, NewCodes(count=30, prefix="X-", length=12)),
        MakeCodes(other.id, NewCodes((there,))),
        MakeCodes(ended.id, NewCodes(count=1)),
        MakeCodes(new_id(), NewCodes(count=1)),
    ]


async def promotions_to_sweep(rig: Rig) -> list[Command]:
    """Promotions whose time is over, active and paused, and some whose isn't; one that was used."""
    over, later = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(days=1)
    for state in PromotionState:
        await write_promotion(rig.conn, state=state, ends_at=over, uses_max=10)
        await write_promotion(rig.conn, state=state, ends_at=later, uses_per_user_max=1)
    await write_promotion(rig.conn, automatic=True, uses_max=10, uses_per_user_max=1)
    await _placed(rig, 3)
    return [SweepPromotions(), SweepPromotions()]


async def reservations_to_expire(rig: Rig) -> list[Command]:
    """Expiry by name and by sweep, of orders that are due and one that isn't."""
    *due, held = await _placed(rig, 5)
    past = "now() - interval '1 minute'"
    await rig.conn.execute(f"UPDATE orders SET expires_at = {past} WHERE id = ANY ($1)", due)
    await rig.conn.execute(f"UPDATE reservations SET expires_at = {past} WHERE order_id = ANY ($1)", due)
    return [ExpireReservations((due[0],)), ExpireReservations((due[1], held)), ExpireReservations()]


async def runs_to_rescue(rig: Rig) -> list[Command]:
    """A run of a worker that died with orders in hand, and one of a worker that lives."""
    offers = await write_offers(rig.conn, units=10)
    dead, alive = await submit(rig.conn, place(*offers), place(*offers))
    worker = new_id()
    await rig.conn.execute(
        "INSERT INTO workers (id, name, lanes) VALUES ($1, 'alive', '{orders}') ON CONFLICT DO NOTHING", worker
    )
    for who, command in ((new_id(), dead), (worker, alive)):
        await rig.conn.execute("BEGIN")
        xid = await rig.conn.fetchval("SELECT pg_current_xact_id()")
        await rig.conn.execute("ROLLBACK")
        await rig.conn.execute(
            "INSERT INTO runs (worker, job, xid, ids) VALUES ($1, 'place_orders', $2, $3)", who, xid, [command]
        )
    return [RescueRuns(), RescueRuns()]


async def journal_to_prune(rig: Rig) -> list[Command]:
    """Idempotency keys old enough to go and ones that stay, of commands and of answers."""
    await rig.conn.execute(
        "INSERT INTO idempotency (principal, key_hash, command_id, answer, fingerprint, created_at)"
        " SELECT gen_random_uuid(), uuid_send(gen_random_uuid()),"
        " CASE WHEN n % 2 = 0 THEN ('00000000-0000-7000-' || right(gen_random_uuid()::text, 17))::uuid END,"
        " CASE WHEN n % 2 = 1 THEN 'sealed'::bytea END, uuid_send(gen_random_uuid()),"
        " now() - make_interval(hours => CASE WHEN n <= 20 THEN 100 ELSE 1 END) FROM generate_series(1, 30) AS n"
    )
    return [PruneJournal(), PruneJournal()]


async def mails_to_send(_rig: Rig) -> list[Command]:
    """A mail of each kind, one to what is no address and one to somebody the mail server doesn't know."""
    mails: list[Command] = [
        SendAccountMail(kind, f"{kind}@example.com", "Ada", new_id() if kind in WITH_TOKEN else None)
        for kind in MailKind
    ]
    return [
        *mails,
        SendAccountMail(MailKind.PASSWORD_CHANGED, "nobody"),
        SendAccountMail(MailKind.PASSWORD_CHANGED, UNKNOWN),
    ]


async def webhooks_to_send(_rig: Rig) -> list[Command]:
    """Webhooks of the sandbox: two with the same id, and one that its receiver won't have."""
    said = SandboxWebhook("payment.succeeded", SandboxData(new_id()))
    names = ("msg_once", "msg_twice", "msg_twice", REFUSED_WEBHOOK)
    return [SendSandboxWebhook(name, said) for name in names]


async def links_to_send(rig: Rig) -> list[Command]:
    """Links for an account, for one that isn't verified, for an address nobody has."""
    verified, unverified = f"{new_id().hex}@example.com", f"{new_id().hex}@example.com"
    await write_account(rig.conn, email=verified)
    await write_account(rig.conn, email=unverified, verified=False)
    return [
        SendLink(Purpose.RESET_PASSWORD, verified),
        SendLink(Purpose.VERIFY_EMAIL, verified),
        SendLink(Purpose.VERIFY_EMAIL, unverified),
        SendLink(Purpose.RESET_PASSWORD, "nobody@example.com"),
    ]


async def what_has_expired(rig: Rig) -> list[Command]:
    """Sessions, tokens, revocations, carts and changes whose time is over, and some whose isn't."""
    account, suspended = await write_account(rig.conn), await write_account(rig.conn)
    await rig.conn.execute("UPDATE accounts SET status = 'suspended' WHERE id = $1", suspended)
    for days in (60, 3, 0):
        past, session = f"now() - interval '{days} days'", new_id()
        await rig.conn.execute(
            f"INSERT INTO sessions (id, account_id, expires_at) VALUES ($1, $2, {past} + interval '7 days')",
            session,
            account,
        )
        await rig.conn.execute(
            f"INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, {past} + interval '1 hour')",
            session.bytes * 2,
            session,
        )
        await rig.conn.execute(
            "INSERT INTO one_time_tokens (id, account_id, purpose, expires_at)"
            f" VALUES ($1, $2, 'verify_email', {past})",
            new_id(),
            account,
        )
        for subject in (new_id(), suspended if days == 60 else new_id()):
            await rig.conn.execute(f"INSERT INTO revocations (subject, epoch, at) VALUES ($1, 2, {past})", subject)
        cart = new_id()
        await rig.conn.execute(
            f"INSERT INTO carts (id, owner, currency, promotions, updated_at) VALUES ($1, $2, 'USD', 'strict', {past})",
            cart,
            account,
        )
        await rig.conn.execute(NEW_CART_EVENT, cart, account)
        await rig.conn.execute(f"INSERT INTO catalog_changes (thing, at) VALUES ($1, {past})", new_id())
    return [PruneExpired(), PruneExpired()]


async def products_to_relist(rig: Rig) -> list[Command]:
    """Products of a seller whose state may have changed, and one whose offer ended; others that stay as they are."""
    offers = await write_offers(rig.conn, offers=6, sellers=3)
    await relist_sellers(rig.conn, [offers[0].seller_id])
    key = (offers[1].variant_id, offers[1].seller_id)
    states = await load_states(rig.conn, [key])
    ended = replace(states[key].terms, valid_until=datetime.now(UTC))
    await apply_offers(rig.conn, decide([WantedOffer(*key, ended)], states, actor=SYSTEM, correlation=""))
    await rig.conn.execute("UPDATE listings SET due_at = now() WHERE product_id = $1", offers[1].product_id)
    return [RelistProducts(), RelistProducts()]


async def rounds_to_begin(rig: Rig) -> list[Command]:
    """Two rounds of the audit at once, and what was told of a check that there isn't any more."""
    await rig.conn.execute(
        "INSERT INTO audit_checks (name, at, took_ms, finished, violations, sample)"
        " VALUES ('an_old_one', now(), 1, true, 0, '{}') ON CONFLICT DO NOTHING"
    )
    return [SweepAudit(), SweepAudit()]


async def checks_to_run(_rig: Rig) -> list[Command]:
    """A check about orders, one that takes no slices, one that goes on with what was found"""
    return [
        AuditCheck("order_version_is_last_event"),
        AuditCheck("nothing_oversold"),
        AuditCheck("one_place_per_command", new_id(), took_ms=7),
    ]


SAMPLES: dict[str, Builder] = {
    "place_orders": orders_to_place,
    "cancel_orders": orders_to_cancel,
    "confirm_orders": orders_to_confirm,
    **fulfilment_samples.BUILDERS,
    **return_samples.BUILDERS,
    "apply_promotions": orders_to_reprice,
    "snapshot_commissions": commissions_to_snapshot,
    "make_codes": codes_to_make,
    "sweep_promotions": promotions_to_sweep,
    "set_stock": stock.stock_to_set,
    "import_stock": stock.stock_to_import,
    "reserve_stock": stock.units_to_hold,
    "end_holds": stock.holds_to_end,
    "extend_holds": stock.holds_to_extend,
    "expire_reservations": reservations_to_expire,
    "send_account_mail": mails_to_send,
    "send_sandbox_webhooks": webhooks_to_send,
    "send_webhooks": endpoints.deliveries_to_try,
    "relist_products": products_to_relist,
    "rescue_runs": runs_to_rescue,
    "prune_journal": journal_to_prune,
    "prune_expired": what_has_expired,
    "sweep_audit": rounds_to_begin,
    "audit_checks": checks_to_run,
    **payment_samples.BUILDERS,
    **payout_samples.BUILDERS,
    "send_links": links_to_send,
    **mail_samples.BUILDERS,
}
