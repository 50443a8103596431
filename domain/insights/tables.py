"""Tables of read models, as Piccolo knows them.

Piccolo has no composite keys: the first column is marked.
"""

from piccolo.columns import UUID, BigInt, Date, SmallInt, Text
from piccolo.table import Table


class SellerSales(Table):
    """What each seller sold in a day, in each currency."""

    seller_id = UUID(primary_key=True, default=None)
    day = Date(default=None)
    currency = Text(default=None)
    orders = BigInt(default=0)
    units = BigInt(default=0)
    goods_minor = BigInt(default=0)
    discount_minor = BigInt(default=0)
    shipping_minor = BigInt(default=0)
    added_tax_minor = BigInt(default=0)
    total_minor = BigInt(default=0)
    units_back = BigInt(default=0)
    back_minor = BigInt(default=0)


class StockHistory(Table):
    """How each offer's stock moved in a day."""

    variant_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    location = SmallInt(default=None)
    day = Date(default=None)
    on_hand = BigInt(default=0)
    reserved = BigInt(default=0)
    received = BigInt(default=0)
    adjusted = BigInt(default=0)
    sold = BigInt(default=0)
    returned = BigInt(default=0)
