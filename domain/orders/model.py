"""Orders: the commands about them, the facts that happened to them, and the rows they become."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct, field

from domain.accounts.address_model import PostalAddress
from domain.accounts.model import Email
from domain.catalog.model import OfferKey
from domain.inventory.buyer_limits import BuyerKey, LimitedHold
from domain.inventory.model import Movement, Reservation, StockKey
from domain.journal.model import BatchOutcome, Command, Event, Lane
from domain.money import Currency, Minor, Money
from domain.orders.price import Price
from domain.pricing.codes import CodeText
from domain.pricing.promotions import Reason
from domain.pricing.quote import FrozenTerms
from domain.pricing.use_sql import Redemption
from domain.pricing.uses import UseKey

LINES_CEILING = 1_000
QUANTITY_CEILING = 1_000_000
CODES_CEILING = 50
LINE_ROWS = 5
"""Rows a line writes, roughly: line, reservation, movement, and its share of seller order and stock."""

Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_CEILING, description="units")]
Codes = Annotated[tuple[CodeText, ...], Meta(max_length=CODES_CEILING)]
ShippingMethods = Annotated[dict[UUID, UUID], Meta(max_length=LINES_CEILING)]
"""By seller, the method to ship by."""
ReservationIds = Annotated[tuple[UUID, ...], Meta(max_length=LINES_CEILING)]
LineNo = Annotated[int, Meta(ge=0, le=LINES_CEILING)]


class Payment(StrEnum):
    """The payment axis of an order."""

    UNPAID = "unpaid"
    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"


class Fulfilment(StrEnum):
    """The fulfilment axis of a seller order."""

    AWAITING = "awaiting"
    PROCESSING = "processing"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"


class OrderStatus(StrEnum):
    """What the two axes come to."""

    PLACING = "placing"
    PENDING_PAYMENT = "pending_payment"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class OrderLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units of one seller's offer of a variant; ``expected_unit_price`` is the price the client showed."""

    variant_id: UUID
    seller_id: UUID
    quantity: Quantity
    expected_unit_price: Money | None = None


OrderLines = Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=LINES_CEILING)]


class CodesMode(StrEnum):
    """What becomes of an order when a code it gives doesn't apply."""

    STRICT = "strict"
    BEST_EFFORT = "best_effort"


class PlaceOrder(Command, frozen=True, omit_defaults=True):
    """Place an order over one or more sellers: all lines or none. The order's id is the command's id.

    ``email`` is where a guest is written to. Where it goes is an address of the buyer's or one that is written out;
    ``shipping_methods`` chooses how by seller, and the cheapest way is taken where it doesn't. ``reservation_ids`` are
    holds of the buyer's that it takes over.
    """

    job: ClassVar[str] = "place_orders"
    lane: ClassVar[Lane] = Lane.ORDERS

    currency: Currency
    lines: OrderLines
    email: Email | None = None
    codes: Codes = ()
    promotions: CodesMode = CodesMode.STRICT
    shipping_address_id: UUID | None = None
    shipping_address: PostalAddress | None = None
    shipping_methods: ShippingMethods = field(default_factory=dict)
    reservation_ids: ReservationIds = ()

    def weight(self) -> int:
        """Rows it writes."""
        return 5 + LINE_ROWS * len(self.lines) + 3 * len(self.codes) + 3 * len(self.reservation_ids)


class OrderCommand(Command, frozen=True):
    """A command about an order: it waits for earlier unfinished ones of that order, its placing among them."""

    lane: ClassVar[Lane] = Lane.ORDERS
    ordered: ClassVar[bool] = True

    order_id: UUID

    def aggregate(self) -> UUID:
        """The order."""
        return self.order_id


class CancelOrder(OrderCommand, frozen=True):
    """Cancel an order: whole, or the lines named by their numbers.

    With ``seller_id`` it is about that seller's part alone: whole, it takes the lines of which nothing has shipped.
    """

    job: ClassVar[str] = "cancel_orders"

    lines: Annotated[tuple[LineNo, ...], Meta(min_length=1, max_length=LINES_CEILING)] | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    seller_id: UUID | None = None

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 20


class ApplyPromotions(OrderCommand, frozen=True):
    """Price an unpaid order again, with these codes in place of those given before and whatever needs none."""

    job: ClassVar[str] = "apply_promotions"
    lane: ClassVar[Lane] = Lane.PRICING

    codes: Codes = ()
    promotions: CodesMode = CodesMode.STRICT

    def weight(self) -> int:
        """Rows it writes, for an order of a few promotions."""
        return 10 + 3 * len(self.codes)


class ConfirmOrder(OrderCommand, frozen=True):
    """Confirm an order that costs nothing: its reservations become sales."""

    job: ClassVar[str] = "confirm_orders"

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 20


class PlacedOrder(Struct, frozen=True):
    """The result of placing: what the buyer needs before looking the order up."""

    order_id: UUID
    number: str
    total: Money
    expires_at: datetime


class CancelledOrder(Struct, frozen=True):
    """The result of cancelling: which lines are gone now, what the others come to (null if it never was placed), and
    what is given back.
    """

    order_id: UUID
    cancelled_lines: tuple[int, ...]
    total: Money | None
    status: OrderStatus
    refund: Money | None = None


class PlacedLine(Struct, frozen=True):
    """A line as the event ``order.placed`` tells it."""

    line_no: int
    variant_id: UUID
    seller_id: UUID
    sku: str
    quantity: int
    unit_price_minor: int
    total_minor: int


class OrderPlaced(Struct, frozen=True):
    """The event ``order.placed``."""

    number: str
    buyer: UUID
    currency: str
    total_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    expires_at: datetime
    lines: tuple[PlacedLine, ...]


class SellerLess(Struct, frozen=True):
    """How many units of a seller an order is less, and by how much its buyer pays less for that seller's part."""

    seller_id: UUID
    units: int
    amount_minor: int


class LinesCancelled(Struct, frozen=True):
    """The events ``order.cancelled`` (whole) and ``order.lines_cancelled``; amounts in minor units.

    ``sold`` says whether they were sold before; ``sellers`` leaves out what had been given back of them already.
    """

    lines: tuple[int, ...]
    total_minor: int
    reason: str
    refund_minor: int
    currency: str
    sold: bool
    sellers: tuple[SellerLess, ...]


class PromotionOnOrder(Struct, frozen=True):
    """A promotion that takes something off an order; ``code`` is null for one that comes by itself."""

    promotion_id: UUID
    title: str
    code: str | None
    amount: Money


class CodeInVain(Struct, frozen=True):
    """A code that takes nothing off, and why."""

    code: str
    reason: Reason


class RepricedOrder(Struct, frozen=True):
    """The result of applying promotions: the price version that counts now, and what became of the codes."""

    order_id: UUID
    price_version: int
    total: Money
    discount: Money
    promotions: tuple[PromotionOnOrder, ...]
    codes_in_vain: tuple[CodeInVain, ...]


class OrderRepriced(Struct, frozen=True):
    """The event ``order.repriced``; amounts in minor units, ``promotions`` are those that take something off."""

    price_version: int
    total_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    promotions: tuple[UUID, ...]


class SellerSold(Struct, frozen=True):
    """What a seller sells with an order, in minor units: goods and shipping before discounts, and what it comes to."""

    seller_id: UUID
    units: int
    goods_minor: int
    discount_minor: int
    shipping_minor: int
    added_tax_minor: int
    total_minor: int


class OrderConfirmed(Struct, frozen=True):
    """The event ``order.confirmed``; amounts in minor units."""

    total_minor: int
    currency: str
    sellers: tuple[SellerSold, ...]


class SnapshottedLine(Struct, frozen=True):
    """What a line pays, as the event tells it; amounts in minor units."""

    line_no: int
    rule_id: UUID | None
    base_minor: int
    amount_minor: int


class CommissionSnapshotted(Struct, frozen=True):
    """The event ``order.commission_snapshotted``."""

    lines: tuple[SnapshottedLine, ...]


class OrderExpired(Struct, frozen=True):
    """The event ``order.expired``."""

    lines: tuple[int, ...]


class LineRow(Struct, frozen=True):
    """A frozen line, ready to write."""

    line_no: int
    seller_id: UUID
    variant_id: UUID
    sku: str
    title: str
    category: str | None
    attributes: str
    quantity: int
    unit_price_minor: Minor
    total_minor: Minor
    product_id: UUID
    categories: tuple[UUID, ...]
    weight_grams: int
    terms: FrozenTerms


class OrderRow(Struct, frozen=True):
    """A decided order, ready to write with its seller orders, lines and first price version.

    ``commission_version`` is that of the commission rules its lines were decided by.
    """

    id: UUID
    number: int
    buyer: UUID
    email: str | None
    currency: str
    placed_at: datetime
    expires_at: datetime
    sellers: tuple[UUID, ...]
    lines: tuple[LineRow, ...]
    price: Price
    ship_to: PostalAddress | None
    commission_version: int


class TakenOver(Struct, frozen=True):
    """Who has a hold released for an order, which one that is, on which request."""

    actor: UUID
    order_id: UUID
    correlation: str


class PlacementPlan(Struct, frozen=True):
    """What placing a batch comes to. ``outcomes`` stand in the order of the commands.

    ``wanted`` counts what each offer was asked for in all, granted or not; ``short`` names offers that an order
    was refused for.
    """

    outcomes: list[BatchOutcome]
    orders: list[OrderRow]
    reservations: list[Reservation]
    movements: list[Movement]
    events: list[Event]
    stock: dict[StockKey, tuple[int, int]]
    wanted: dict[OfferKey, int]
    short: set[OfferKey]
    redemptions: list[Redemption]
    uses: dict[UseKey, int]
    limits: dict[UseKey, int]
    used_rules: set[UUID]
    """commission rules that lines pay by now"""
    taken_over: dict[UUID, TakenOver]
    """holds that orders take over"""
    limited: list[LimitedHold]
    over: set[BuyerKey]
    """buyers who were refused for how much they have already"""
