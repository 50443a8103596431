"""The tables of payments, as Piccolo knows them."""

from piccolo.columns import UUID, Array, BigInt, Integer, Text, Timestamptz
from piccolo.table import Table


class SandboxIntents(Table):
    """The sandbox's own books, as a gateway keeps them on its own machines; no truth of ours."""

    reference = Text(primary_key=True, default=None)
    payment_id = UUID(default=None)
    order_id = UUID(default=None)
    amount_minor = BigInt(default=None)
    currency = Text(default=None)
    token = Text(default=None)
    capture = Text(default=None)
    state = Text(default=None)
    captured_minor = BigInt(default=0)
    refunded_minor = BigInt(default=0)
    refunds = Array(base_column=Text())
    reason = Text(null=True, default=None)
    calls = Integer(default=1)
    created_at = Timestamptz()
