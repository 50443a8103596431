"""The tables of the inventory, as Piccolo knows them."""

from piccolo.columns import UUID, BigInt, Integer, SmallInt, Text, Timestamptz
from piccolo.table import Table


class Stock(Table):
    """Figures per (variant, seller, location); CHECKs keep them from overselling."""

    variant_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    location = SmallInt(default=0)
    on_hand = Integer(default=0)
    reserved = Integer(default=0)
    backorder_limit = Integer(default=0)
    threshold = Integer(null=True, default=None)
    version = BigInt(default=1)
    events = Integer(default=0)


class Reservations(Table):
    """Units held, until they are confirmed, released or expired, once."""

    id = UUID(primary_key=True, default=None)
    variant_id = UUID(default=None)
    seller_id = UUID(default=None)
    location = SmallInt(default=0)
    quantity = Integer(default=None)
    status = Text(default="active")
    owner = UUID(default=None)
    order_id = UUID(null=True, default=None)
    expires_at = Timestamptz(default=None)
    version = Integer(default=1)


class LimitedHolds(Table):
    """Reservations that count against a limit per buyer, with the limit they were made under."""

    variant_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    buyer = UUID(default=None)
    reservation_id = UUID(default=None)
    most = Integer(default=None)
    window_seconds = Integer(default=None)


class Movements(Table):
    """Every change of the figures, append-only; they sum to them."""

    cause_id = UUID(primary_key=True, default=None)
    kind = Text(default=None)
    variant_id = UUID(default=None)
    seller_id = UUID(default=None)
    location = SmallInt(default=0)
    on_hand_delta = Integer(default=0)
    reserved_delta = Integer(default=0)
    actor = UUID(default=None)
    reason = Text(default="")
    at = Timestamptz()
