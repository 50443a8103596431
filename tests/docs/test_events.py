"""``docs/events.md`` lists every event type the code writes, with the fields it carries."""

import ast
import re
from pathlib import Path

import asyncpg
import msgspec
import pytest

from domain.accounts.address_model import AddressOf
from domain.accounts.key_model import KeyCreated, KeyReplaced
from domain.accounts.seller_model import (
    MemberAdded,
    MemberRemoved,
    SellerApplied,
    SellerChanged,
    SellerNamed,
    SellerTurnedDown,
)
from domain.catalog.model import PriceChange
from domain.catalog.offer_sql import apply_offers, change_prices, load_states
from domain.catalog.offers import OfferTerms, WantedOffer, decide, end
from domain.catalog.product_lifecycle import ProductStatus, Step
from domain.catalog.product_sql import change_products, lock_products
from domain.catalog.taxonomy import (
    AttributeAssigned,
    AttributeDeleted,
    AttributeEdit,
    AttributeUnassigned,
    CategoryChanged,
    CategoryCreated,
    CategoryDeleted,
    CategoryMoved,
)
from domain.catalog.variant_sql import update_variants
from domain.catalog.variants import Variant
from domain.inventory.hold_model import ReservationEnded, ReservationExtended, ReservationMade
from domain.inventory.stock_model import StockForced, StockLow, StockReceived, StockSet, ThresholdSet
from domain.journal.model import SYSTEM
from domain.money import Money
from domain.orders.cart_model import CartCheckedOut, CartFacts, CartLineFact, CartMerged, CartRemoved
from domain.orders.crediting import OrderCredited
from domain.orders.fulfilment_model import SellerOrderMoved, ShipmentArrived, UnitsShipped
from domain.orders.model import (
    CommissionSnapshotted,
    LinesCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderRepriced,
    PlacedLine,
)
from domain.orders.return_model import ReturnDecided, ReturnReceived, ReturnRequested
from domain.payments.invoice_model import DocumentIssued
from domain.payments.model import ChargebackMoved, PaymentMoved, PaymentStarted, RefundMoved, StockTakenAgain
from domain.payments.payouts import PayoutApproved, PayoutCollected, PayoutFailed, PayoutPaid
from domain.pricing.commission_edit import RuleWritten
from domain.pricing.promotion_edit import CodesMade, PromotionChanged, PromotionCreated
from domain.pricing.rate_cards import RateCardReplaced
from infra.clock import new_id
from ops.catalog import write_catalog
from ops.goods import NewSeller
from tests.builders import offer
from tests.docs.source import PACKAGES, defined, python_files, section_of, table_rows, tree_of

PAGE = Path("docs/events.md")


NOUNS = (
    "order|account|address|api_key|session|seller|product|variant|offer|category|attribute|rate_card|promotion"
    "|commission_rule|stock|reservation|cart|payout|invoice|credit_note"
)


def documented() -> dict[str, set[str]]:
    """The fields of each event type, as the page lists them."""
    rows = table_rows(section_of(PAGE, "Event types") or "")
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in rows}


def _written() -> set[str]:
    """Every string of the form ``noun.past_tense`` in our code."""
    found = set()
    for path in python_files(*PACKAGES):
        if path.is_relative_to("infra/gateways") or path == Path("domain/accounts/seller_payout.py"):
            # Gateways have names of the same form for their own, and so have the fields of payout details.
            continue
        strings = (n.value for n in ast.walk(tree_of(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        found |= {text for text in strings if re.fullmatch(rf"({NOUNS})\.[a-z_]+", text)}
    return found


def test_every_event_type_stands_in_the_page_once():
    assert sorted(defined("type")) == sorted(_written())


def test_the_fields_of_an_orders_events_and_of_what_prices_it_are_listed():
    page = documented()
    fields = {
        "order.placed": OrderPlaced,
        "order.cancelled": LinesCancelled,
        "order.credited": OrderCredited,
        "order.lines_cancelled": LinesCancelled,
        "order.expired": OrderExpired,
        "order.repriced": OrderRepriced,
        "order.confirmed": OrderConfirmed,
        "order.accepted": SellerOrderMoved,
        "order.shipped": UnitsShipped,
        "order.shipment_delivered": ShipmentArrived,
        "order.delivered": SellerOrderMoved,
        "order.returned": SellerOrderMoved,
        "order.taken_up_again": StockTakenAgain,
        "order.payment_started": PaymentStarted,
        "order.payment_captured": PaymentMoved,
        "order.payment_failed": PaymentMoved,
        "order.refunded": RefundMoved,
        "order.chargeback_opened": ChargebackMoved,
        "order.chargeback_fee_charged": ChargebackMoved,
        "order.commission_snapshotted": CommissionSnapshotted,
        "order.return_requested": ReturnRequested,
        "order.return_approved": ReturnDecided,
        "order.return_rejected": ReturnDecided,
        "order.return_received": ReturnReceived,
        "invoice.issued": DocumentIssued,
        "credit_note.issued": DocumentIssued,
        "commission_rule.created": RuleWritten,
        "commission_rule.changed": RuleWritten,
        "commission_rule.ended": RuleWritten,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind
    text = section_of(PAGE, "Event types") or ""
    of_lines = text.partition("- `lines` of `order.placed` is a list of ")[2].partition(". ")[0]
    assert re.findall(r"`(\w+)`", of_lines) == list(PlacedLine.__struct_fields__)


@pytest.mark.anyio
async def test_the_fields_of_the_catalogs_events_are_listed(conn):
    seller = NewSeller(new_id(), "Seller")
    made = offer(seller)
    await write_catalog(conn, [seller], [made], actor=SYSTEM, reason="test")
    await change_prices(conn, [PriceChange(made.variant_id, seller.id, 7)], actor=SYSTEM)
    product = (await lock_products(conn, [made.product_id]))[made.product_id]
    for step in Step:
        after = msgspec.structs.replace(
            product, reason=f"{step}", status=ProductStatus.DRAFT, version=product.version + 1
        )
        await change_products(conn, [(product, after)], step, actor=SYSTEM)
        product = after
    variant = Variant(made.variant_id, made.product_id, {"colour": "red"}, weight_grams=1, version=2)
    await update_variants(conn, [variant], actor=SYSTEM, correlation="")
    key = (made.variant_id, seller.id)
    wanted = [WantedOffer(*key, OfferTerms("other", Money(7, "USD")))]
    await apply_offers(conn, decide(wanted, await load_states(conn, [key]), actor=SYSTEM, correlation=""))
    states = await load_states(conn, [key])
    await apply_offers(conn, end(key, states[key], actor=SYSTEM, correlation=""))
    rows = await conn.fetch("SELECT type, data FROM events")
    page = documented()
    written = {row["type"]: set(msgspec.json.decode(row["data"])) for row in rows}
    assert written == {kind: page[kind] for kind in written}
    assert {kind for kind in page if kind.startswith(("product.", "variant.", "offer."))} <= set(written)


def test_the_fields_of_the_taxonomys_events_are_listed():
    page = documented()
    fields = {
        "category.created": CategoryCreated,
        "category.changed": CategoryChanged,
        "category.moved": CategoryMoved,
        "category.deleted": CategoryDeleted,
        "category.attribute_assigned": AttributeAssigned,
        "category.attribute_unassigned": AttributeUnassigned,
        "attribute.created": AttributeEdit,
        "attribute.changed": AttributeEdit,
        "attribute.deleted": AttributeDeleted,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind
    assert {kind for kind in page if kind.startswith(("category.", "attribute."))} == set(fields)


def test_the_fields_of_the_events_of_promotions_are_listed():
    page = documented()
    fields = {
        "promotion.created": PromotionCreated,
        "promotion.changed": PromotionChanged,
        "promotion.codes_made": CodesMade,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind
    for kind in ("promotion.activated", "promotion.paused", "promotion.ended"):
        assert page[kind] == set(), kind


def test_the_fields_of_the_events_of_stock_and_holds_are_listed():
    page = documented()
    fields = {
        "stock.set": StockSet,
        "stock.received": StockReceived,
        "stock.forced": StockForced,
        "stock.threshold_set": ThresholdSet,
        "stock.low": StockLow,
        "reservation.made": ReservationMade,
        "reservation.extended": ReservationExtended,
        "reservation.released": ReservationEnded,
        "reservation.confirmed": ReservationEnded,
        "reservation.expired": ReservationEnded,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind


def test_the_fields_of_the_events_of_payouts_are_listed():
    page = documented()
    fields = {
        "payout.collected": PayoutCollected,
        "payout.approved": PayoutApproved,
        "payout.paid": PayoutPaid,
        "payout.failed": PayoutFailed,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind
    assert {kind for kind in page if kind.startswith("payout.")} == set(fields)


def test_the_fields_of_the_events_of_accounts_are_listed():
    page = documented()
    fields = {
        "api_key.created": KeyCreated,
        "api_key.replaced": KeyReplaced,
        "address.added": AddressOf,
        "address.changed": AddressOf,
        "address.removed": AddressOf,
        "seller.applied": SellerApplied,
        "seller.approved": SellerNamed,
        "seller.rejected": SellerTurnedDown,
        "seller.suspended": SellerTurnedDown,
        "seller.reinstated": SellerNamed,
        "seller.changed": SellerChanged,
        "seller.member_added": MemberAdded,
        "seller.member_removed": MemberRemoved,
        "rate_card.replaced": RateCardReplaced,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind
    for kind in ("api_key.revoked",):
        assert page[kind] == set(), kind


def test_the_fields_of_the_events_of_carts_are_listed():
    page = documented()
    fields = {
        "cart.created": CartFacts,
        "cart.changed": CartFacts,
        "cart.moved": CartFacts,
        "cart.merged": CartMerged,
        "cart.removed": CartRemoved,
        "cart.checked_out": CartCheckedOut,
    }
    for kind, struct in fields.items():
        assert page[kind] == set(struct.__struct_fields__), kind
    assert {kind for kind in page if kind.startswith("cart.")} == set(fields)
    of_lines = (
        (section_of(PAGE, "Event types") or "").partition("- `lines` of a cart is a list of ")[2].partition(". ")[0]
    )
    assert re.findall(r"`(\w+)`", of_lines) == list(CartLineFact.__struct_fields__)


@pytest.mark.anyio
async def test_a_reader_below_the_oldest_open_transaction_misses_nothing(conn, database_url):
    """Positions are drawn before commits land: the page tells readers to go by the transaction."""

    insert = "INSERT INTO events (stream, version, type, data, actor) VALUES ($1, 1, 'test', '{}', $1)"
    below = "SELECT position FROM events WHERE xid < pg_snapshot_xmin(pg_current_snapshot())"
    early, late = new_id(), new_id()
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(insert, early)
        await conn.execute(insert, late)
        assert await conn.fetch("SELECT position FROM events") != []
        assert await conn.fetch(below) == []
        await transaction.commit()
        assert len(await conn.fetch(below)) == 2
    finally:
        await other.close()
