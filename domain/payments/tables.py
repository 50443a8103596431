"""The tables of payments, as Piccolo knows them."""

from piccolo.columns import UUID, Array, BigInt, Integer, SmallInt, Text, Timestamptz
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


class Payments(Table):
    """Attempts to pay orders."""

    id = UUID(primary_key=True, default=None)
    order_id = UUID(default=None)
    attempt_no = SmallInt(default=None)
    gateway = Text(default=None)
    capture = Text(default=None)
    amount_minor = BigInt(default=None)
    currency = Text(default=None)
    state = Text(default="pending")
    reference = Text(null=True, default=None)
    captured_minor = BigInt(default=0)
    refunded_minor = BigInt(default=0)
    asked_minor = BigInt(default=0)
    reason = Text(null=True, default=None)
    action_url = Text(null=True, default=None)
    created_at = Timestamptz(default=None)
    updated_at = Timestamptz(default=None)
    checked_at = Timestamptz(null=True, default=None)


class Refunds(Table):
    """What is given back of payments, keyed (payment, number)."""

    payment_id = UUID(primary_key=True, default=None)
    refund_no = SmallInt(default=None)
    order_id = UUID(default=None)
    amount_minor = BigInt(default=None)
    currency = Text(default=None)
    reason = Text(default=None)
    state = Text(default="pending")
    reference = Text(null=True, default=None)
    error = Text(null=True, default=None)
    cause_id = UUID(default=None)
    created_at = Timestamptz(default=None)
    ended_at = Timestamptz(null=True, default=None)


class Chargebacks(Table):
    """What buyers' banks took back, keyed (gateway, reference)."""

    gateway = Text(primary_key=True, default=None)
    reference = Text(default=None)
    payment_id = UUID(default=None)
    order_id = UUID(default=None)
    amount_minor = BigInt(default=None)
    fee_minor = BigInt(default=None)
    currency = Text(default=None)
    liable = Text(default=None)
    state = Text(default=None)
    reason = Text(default="")
    opened_at = Timestamptz(default=None)
    ended_at = Timestamptz(null=True, default=None)


class OrphanedCharges(Table):
    """Charges found at gateways that belong to no payment, keyed (gateway, reference)."""

    gateway = Text(primary_key=True, default=None)
    reference = Text(default=None)
    payment_id = UUID(null=True, default=None)
    amount_minor = BigInt(default=None)
    currency = Text(default=None)
    found_at = Timestamptz(default=None)
    refunded_at = Timestamptz(null=True, default=None)


class Reconciliations(Table):
    """Until when each gateway's books were compared with ours."""

    gateway = Text(primary_key=True, default=None)
    until = Timestamptz(default=None)


class CommissionReversals(Table):
    """Commission that is taken back, append-only, keyed (order, line number, cause)."""

    order_id = UUID(primary_key=True, default=None)
    line_no = SmallInt(default=None)
    cause_id = UUID(default=None)
    amount_minor = BigInt(default=None)
    at = Timestamptz()
