"""A database after some trade: orders placed, refused, cancelled, expired; a command parked, one still queued."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from domain import ids
from domain.catalog import attribute_sql, category_sql
from domain.catalog.model import TREE, PriceChange
from domain.catalog.offer_sql import change_prices
from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import Assigned, AttributeEdit, Category, StoredAttribute
from domain.inventory.hold_model import EndHold, Ending, HoldLine, ReserveStock
from domain.inventory.model import ExpireReservations
from domain.inventory.stock_model import SetStock, StockChange, key_of
from domain.inventory.stock_sql import lock_figures, write_stock
from domain.inventory.stocktaking import set_threshold
from domain.journal.answers_sql import keep_answers
from domain.journal.changes_sql import note_changes
from domain.journal.keys import digest
from domain.journal.model import SYSTEM, Command, NewCommand
from domain.journal.sql import insert_commands
from domain.limits import Limits
from domain.orders.model import CancelOrder, OrderLine, PlaceOrder
from domain.payments.payouts import CollectPayout
from domain.pricing.promotion_model import PromotionState
from infra import postgres
from infra.clock import new_id
from ops.catalog import write_catalog
from ops.goods import NewOffer, NewSeller
from tests.builders import new, offer, place, submit
from tests.carts import write_cart
from tests.ops.paying import Paid, pay
from tests.ops.running import run_all
from tests.pricing import change_rule, end_promotion, write_discount, write_rule
from tests.promotions import write_promotion
from tests.settled import give_details, settle


class Trade(Struct, frozen=True):
    """The ids of what happened."""

    offers: list[NewOffer]
    placed: UUID
    cancelled: UUID
    partly_cancelled: UUID
    expired: UUID
    rejected: UUID
    parked: UUID
    queued: UUID
    sweep: UUID
    cancelling: UUID
    """The command that cancelled the order whole."""
    promoted: UUID
    """An order with a promotion that counts all it can count."""
    unpromoted: UUID
    """An order that had one and was cancelled."""
    promotion: UUID
    confirmed: UUID
    """It cost nothing; its line's commission is worked out."""
    discounted: UUID
    """A line of it was cancelled; half of the other one is off."""
    rule: UUID
    """The commission rule that both pay by, as it was changed to."""
    cart: UUID
    ordered_cart: UUID
    payments: Paid
    payout: UUID
    """What was paid for has settled, and waits in it for approval."""


def _keyed(command: Command, key: str) -> NewCommand:
    made = new(command)
    return msgspec.structs.replace(made, key_hash=digest(key.encode()), fingerprint=digest(made.payload.encode()))


def _lines(*lines: tuple[NewOffer, int]) -> PlaceOrder:
    return PlaceOrder("USD", tuple(OrderLine(o.variant_id, o.seller_id, quantity) for o, quantity in lines))


async def _shelve(conn: Any) -> None:
    """Make a few categories and attributes, rename, move, assign and delete some."""
    root, shelf, box, gone = (new_id() for _ in range(4))
    paths = {root: (root,), shelf: (root, shelf), box: (root, shelf, box), gone: (gone,)}
    made = {
        category: Category(category, path[-2] if len(path) > 1 else None, f"C{n}", f"c-{n}", path, n, 1)
        for n, (category, path) in enumerate(paths.items())
    }
    size = StoredAttribute(new_id(), 1, AttributeEdit("size", "Size", AttributeKind.CHOICE, choices=("S", "M")))
    brand = StoredAttribute(new_id(), 1, AttributeEdit("brand", "Brand", AttributeKind.TEXT, unit="x"))
    renamed = msgspec.structs.replace(made[shelf], name="Shelf", version=2)
    moved = msgspec.structs.replace(made[gone], position=9, version=2)
    async with postgres.transaction(conn):
        await note_changes(conn, [TREE])
        await category_sql.insert_categories(conn, list(made.values()), actor=SYSTEM)
        await category_sql.edit_categories(conn, [renamed], actor=SYSTEM)
        await category_sql.move_category(conn, moved, actor=SYSTEM)
        await category_sql.delete_categories(conn, [moved], actor=SYSTEM)
        await attribute_sql.insert_attributes(conn, [size, brand], actor=SYSTEM)
        await attribute_sql.edit_attribute(conn, msgspec.structs.replace(size, version=2), actor=SYSTEM)
        await attribute_sql.delete_attributes(conn, [brand], actor=SYSTEM)
        asked = [Assigned(root, size.id, True, 0, 2), Assigned(shelf, size.id, None, 1, 3)]
        await category_sql.assign_attributes(conn, asked, actor=SYSTEM)
        await category_sql.unassign_attributes(conn, [Assigned(shelf, size.id, None, 1, 4)], actor=SYSTEM)


async def _promote(conn: Any, database_url: str, offered: NewOffer) -> tuple[UUID, UUID, UUID]:
    """Have one order use a promotion, and another one that is cancelled."""
    promotion = await write_promotion(conn, "First", uses_max=9, uses_per_user_max=2, first_order=True)
    await write_promotion(conn, "Draft", "Drafts", state=PromotionState.DRAFT)
    order = msgspec.structs.replace(place(offered), codes=("first",))
    made = [new(order) for _ in range(2)]
    await insert_commands(conn, made)
    promoted, unpromoted = (each.id for each in made)
    await run_all(conn, database_url, "place_orders")
    await submit(conn, CancelOrder(unpromoted))
    await run_all(conn, database_url, "cancel_orders")
    return promotion.id, promoted, unpromoted


async def _sell_cheaply(conn: Any, database_url: str, *offers: NewOffer, buyer: UUID) -> tuple[UUID, UUID, UUID]:
    """Sell the last offer for nothing, and both of them for half; return the orders and the rule they pay by."""
    rule = await change_rule(conn, await write_rule(conn, rate_bp=500), rate_bp=1_250)
    everything = await write_discount(conn, 10_000, offers[-1])
    (confirmed,) = await submit(conn, _lines((offers[-1], 2)), principal=buyer)
    await run_all(conn, database_url, "place_orders", "confirm_orders", "snapshot_commissions")
    await end_promotion(conn, everything)
    await write_discount(conn, 5_000, *offers)
    (discounted,) = await submit(conn, _lines(*((offer, 3) for offer in offers)), principal=buyer)
    await run_all(conn, database_url, "place_orders")
    await submit(conn, CancelOrder(discounted, lines=(0,)), principal=buyer)
    await run_all(conn, database_url, "cancel_orders")
    return confirmed, discounted, rule.id


async def _keep_stock(conn: Any, database_url: str, offered: NewOffer) -> None:
    """Count an offer's units, and have it told that they are low."""
    of = (offered.variant_id, offered.seller_id)
    key = key_of(*of)
    await submit(conn, SetStock(*of, StockChange("counted", on_hand=40, backorder_limit=2)))
    await run_all(conn, database_url, "set_stock")
    async with postgres.transaction(conn):
        figures = (await lock_figures(conn, [key]))[key]
        await write_stock(conn, set_threshold(key, figures, 41, actor=SYSTEM, correlation=""))


async def _hold(conn: Any, database_url: str, offered: NewOffer, *, owner: UUID) -> None:
    """Hold units twice, and give them back once."""
    wanted = ReserveStock((HoldLine(offered.variant_id, offered.seller_id, 2),))
    made = await submit(conn, wanted, wanted, principal=owner)
    await run_all(conn, database_url, "reserve_stock")
    await submit(conn, EndHold(ids.child(made[0], ids.Kind.RESERVATION, 0), Ending.RELEASED), principal=owner)
    await run_all(conn, database_url, "end_holds")


async def _pay_out(conn: Any, database_url: str, order: UUID) -> UUID:
    """Have what sellers are owed of an order settle, and collect it."""
    sellers = await conn.fetch("SELECT seller_id, seller_no FROM seller_orders WHERE order_id = $1", order)
    await give_details(conn, *(row["seller_id"] for row in sellers))
    for row in sellers:
        await settle(conn, order, seller_no=row["seller_no"])
    (payout,) = await submit(conn, CollectPayout("USD", 1))
    await run_all(conn, database_url, "collect_payouts")
    return payout


async def trade(conn: Any, database_url: str) -> Trade:
    """Trade a little on an empty database."""
    sellers = [NewSeller(new_id(), name) for name in ("Ann", "Bert")]
    offers = [
        offer(sellers[0], units=10, price=700),
        offer(sellers[1], units=20, price=1200),
        offer(sellers[0], units=30, price=50),
    ]
    await write_catalog(conn, sellers, offers, actor=SYSTEM, reason="test")
    async with postgres.transaction(conn):
        await change_prices(conn, [PriceChange(offers[2].variant_id, offers[2].seller_id, 55)], actor=SYSTEM)
    await _shelve(conn)
    a, b, c = offers
    buyer = uuid4()
    (expired,) = await submit(conn, place(b), principal=buyer)
    # A hold of no time at all is due at once.
    await run_all(conn, database_url, "place_orders", limits=Limits(reservation_seconds=0))
    (sweep,) = await submit(conn, ExpireReservations(), principal=SYSTEM)
    await run_all(conn, database_url, "expire_reservations")
    orders = [_keyed(command, f"key-{n}") for n, command in enumerate((_lines((a, 2), (b, 1)), _lines((a, 1))))]
    await insert_commands(conn, orders)
    placed, cancelled = (made.id for made in orders)
    answered = [digest(name.encode()) for name in ("an answer", "another")]
    await keep_answers(conn, [((buyer, hashed), hashed, b"sealed") for hashed in answered])
    partly, rejected = await submit(conn, _lines((b, 2), (c, 3)), place(a, quantity=100), principal=buyer)
    broken = msgspec.structs.replace(new(place(a)), payload='{"currency": 5}')
    await insert_commands(conn, [broken])
    await run_all(conn, database_url, "place_orders")
    cancelling, _ = await submit(conn, CancelOrder(cancelled), CancelOrder(partly, lines=(0,)), principal=buyer)
    await run_all(conn, database_url, "cancel_orders")
    promotion, promoted, unpromoted = await _promote(conn, database_url, b)
    confirmed, discounted, rule = await _sell_cheaply(conn, database_url, b, c, buyer=buyer)
    payments = await pay(conn, database_url, b, c)
    payout = await _pay_out(conn, database_url, payments.paid[0])
    await _keep_stock(conn, database_url, c)
    cart = await write_cart(conn, buyer, a, b)
    ordered_cart = await write_cart(conn, buyer, b, c, order_id=partly)
    await _hold(conn, database_url, c, owner=buyer)
    (queued,) = await submit(conn, place(c), principal=buyer)
    return Trade(
        offers=offers,
        placed=placed,
        cancelled=cancelled,
        partly_cancelled=partly,
        expired=expired,
        rejected=rejected,
        parked=broken.id,
        queued=queued,
        sweep=sweep,
        cancelling=cancelling,
        promoted=promoted,
        unpromoted=unpromoted,
        promotion=promotion,
        confirmed=confirmed,
        discounted=discounted,
        rule=rule,
        cart=cart.id,
        ordered_cart=ordered_cart.id,
        payments=payments,
        payout=payout,
    )
