"""The tables of orders and carts, as Piccolo knows them."""

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Integer, SmallInt, Text, Timestamptz
from piccolo.table import Table


class Orders(Table):
    """A buyer's order; its status is derived."""

    id = UUID(primary_key=True, default=None)
    number = BigInt(default=None)
    buyer = UUID(default=None)
    currency = Text(default=None)
    payment = Text(default="unpaid")
    version = Integer(default=1)
    placed_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)
    expired_at = Timestamptz(null=True, default=None)
    email = Text(null=True, default=None)
    commission_version = BigInt(default=0)
    ship_to = JSONB(null=True, default=None)
    payment_id = UUID(null=True, default=None)
    held_by = UUID(null=True, default=None)
    email_key = Text(null=True, default=None)
    sold_at = Timestamptz(null=True, default=None)


class SellerOrders(Table):
    """One seller's part of an order: the unit of fulfilment, keyed (order, seller)."""

    order_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    seller_no = SmallInt(default=None)
    fulfilment = Text(default="awaiting")


class OrderLines(Table):
    """Frozen lines, keyed (order, line number)."""

    order_id = UUID(primary_key=True, default=None)
    line_no = SmallInt(default=None)
    seller_id = UUID(default=None)
    variant_id = UUID(default=None)
    sku = Text(default=None)
    title = Text(default=None)
    category = Text(null=True, default=None)
    attributes = JSONB(default=None)
    quantity = Integer(default=None)
    unit_price_minor = BigInt(default=None)
    total_minor = BigInt(default=None)
    product_id = UUID(null=True, default=None)
    categories = Array(base_column=UUID(), default=[])
    weight_grams = Integer(default=0)
    commission_rule_id = UUID(null=True, default=None)
    commission_rate_bp = Integer(default=0)
    commission_fixed_minor = BigInt(default=0)
    commission_minimum_minor = BigInt(default=0)
    commission_maximum_minor = BigInt(null=True, default=None)
    tax_rate_ppm = Integer(null=True, default=None)
    tax_inclusive = Boolean(null=True, default=None)


class PriceVersions(Table):
    """What an order comes to, version by version, append-only; the last one counts. Arrays stand beside each other."""

    order_id = UUID(primary_key=True, default=None)
    version = SmallInt(default=None)
    lines = Array(base_column=SmallInt(), default=None)
    amounts_minor = Array(base_column=BigInt(), default=None)
    total_minor = BigInt(default=None)
    created_at = Timestamptz()
    seller_discounts_minor = Array(base_column=BigInt(), default=[])
    platform_discounts_minor = Array(base_column=BigInt(), default=[])
    taxes_minor = Array(base_column=BigInt(), default=[])
    added_taxes_minor = Array(base_column=BigInt(), default=[])
    sellers = Array(base_column=SmallInt(), default=[])
    shipping_minor = Array(base_column=BigInt(), default=[])
    shipping_seller_discounts_minor = Array(base_column=BigInt(), default=[])
    shipping_platform_discounts_minor = Array(base_column=BigInt(), default=[])
    shipping_taxes_minor = Array(base_column=BigInt(), default=[])
    shipping_added_taxes_minor = Array(base_column=BigInt(), default=[])
    shipping_terms = JSONB(null=True, default=None)
    promotions = JSONB(null=True, default=None)


class CancelledLines(Table):
    """Lines that were cancelled, each once, keyed (order, line number)."""

    order_id = UUID(primary_key=True, default=None)
    line_no = SmallInt(default=None)
    command_id = UUID(default=None)
    at = Timestamptz()
    paid = Boolean(default=False)


class Shipments(Table):
    """What a seller sent of a seller order: units of lines, arrays beside each other."""

    id = UUID(primary_key=True, default=None)
    order_id = UUID(default=None)
    seller_no = SmallInt(default=None)
    seller_id = UUID(default=None)
    lines = Array(base_column=SmallInt(), default=None)
    quantities = Array(base_column=Integer(), default=None)
    carrier = Text(default=None)
    tracking = Text(null=True, default=None)
    state = Text(default="shipped")
    shipped_at = Timestamptz(default=None)
    delivered_at = Timestamptz(null=True, default=None)


class Returns(Table):
    """What a buyer sends back of a seller order: units of lines, arrays beside each other."""

    id = UUID(primary_key=True, default=None)
    order_id = UUID(default=None)
    seller_no = SmallInt(default=None)
    seller_id = UUID(default=None)
    lines = Array(base_column=SmallInt(), default=None)
    quantities = Array(base_column=Integer(), default=None)
    received = Array(base_column=Integer(), default=[])
    restocked = Array(base_column=Integer(), default=[])
    state = Text(default="requested")
    reason = Text(default=None)
    answer = Text(default="")
    requested_by = UUID(default=None)
    requested_at = Timestamptz(default=None)
    decided_by = UUID(null=True, default=None)
    decided_at = Timestamptz(null=True, default=None)
    received_by = UUID(null=True, default=None)
    received_at = Timestamptz(null=True, default=None)


class LineCredits(Table):
    """What a buyer gets back of a line, append-only, keyed (order, line number, cause)."""

    order_id = UUID(primary_key=True, default=None)
    line_no = SmallInt(default=None)
    cause_id = UUID(default=None)
    quantity = Integer(default=None)
    unshipped = Integer(default=None)
    net_minor = BigInt(default=None)
    platform_discount_minor = BigInt(default=None)
    tax_minor = BigInt(default=None)
    added_tax_minor = BigInt(default=None)
    at = Timestamptz(default=None)


class ShippingCredits(Table):
    """What a buyer gets back of a seller's shipping, append-only, keyed (order, number of the seller order)."""

    order_id = UUID(primary_key=True, default=None)
    seller_no = SmallInt(default=None)
    cause_id = UUID(default=None)
    net_minor = BigInt(default=None)
    platform_discount_minor = BigInt(default=None)
    tax_minor = BigInt(default=None)
    added_tax_minor = BigInt(default=None)
    at = Timestamptz(default=None)


class OrderNotes(Table):
    """What sellers and the platform write down about an order, append-only."""

    id = UUID(primary_key=True, default=None)
    order_id = UUID(default=None)
    seller_id = UUID(null=True, default=None)
    author = UUID(default=None)
    text = Text(default=None)
    at = Timestamptz(default=None)


class Carts(Table):
    """What somebody means to order; its status follows from the order of its last checkout."""

    id = UUID(primary_key=True, default=None)
    owner = UUID(default=None)
    currency = Text(default=None)
    codes = Array(base_column=Text(), default=[])
    promotions = Text(default=None)
    email = Text(null=True, default=None)
    shipping_address_id = UUID(null=True, default=None)
    shipping_address = JSONB(null=True, default=None)
    shipping_methods = JSONB(default="{}")
    version = Integer(default=1)
    order_id = UUID(null=True, default=None, unique=True)
    created_at = Timestamptz()
    updated_at = Timestamptz()


class CartLines(Table):
    """Units of offers with the price they were shown with, keyed (cart, line number)."""

    cart_id = UUID(primary_key=True, default=None)
    line_no = SmallInt(default=None)
    variant_id = UUID(default=None)
    seller_id = UUID(default=None)
    quantity = Integer(default=None)
    unit_price_minor = BigInt(default=None)
