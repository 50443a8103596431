"""The tables of payments, the ledger, payouts and invoices, as Piccolo knows them."""

from piccolo.columns import JSON, UUID, Array, BigInt, Integer, SmallInt, Text, Timestamptz
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


class LedgerEntries(Table):
    """Debits (positive) and credits of accounts, append-only, keyed (cause, kind, number)."""

    cause_id = UUID(primary_key=True, default=None)
    kind = Text(default=None)
    entry_no = SmallInt(default=None)
    account = Text(default=None)
    owner = Text(default=None)
    currency = Text(default=None)
    amount_minor = BigInt(default=None)
    order_id = UUID(null=True, default=None)
    at = Timestamptz(default=None)
    position = BigInt()


class LedgerAccounts(Table):
    """What the entries of each account sum to, keyed (account, owner, currency)."""

    account = Text(primary_key=True, default=None)
    owner = Text(default=None)
    currency = Text(default=None)
    balance_minor = BigInt(default=None)


class Settlements(Table):
    """What sellers have of their seller orders that no payout has taken yet, keyed (order, number)."""

    order_id = UUID(primary_key=True, default=None)
    seller_no = SmallInt(default=None)
    seller_id = UUID(default=None)
    currency = Text(default=None)
    balance_minor = BigInt(default=None)
    settles_at = Timestamptz(null=True, default=None)
    disputes = SmallInt(default=0)


class Payouts(Table):
    """Batches of money for sellers."""

    id = UUID(primary_key=True, default=None)
    currency = Text(default=None)
    state = Text(default=None)
    version = Integer(default=0)
    until = Timestamptz(default=None)
    minimum_minor = BigInt(default=None)
    after_seller = UUID()
    sellers = Integer(default=0)
    orders = Integer(default=0)
    total_minor = BigInt(default=0)
    created_by = UUID(default=None)
    created_at = Timestamptz(default=None)
    approved_by = UUID(null=True, default=None)
    approved_at = Timestamptz(null=True, default=None)
    ended_at = Timestamptz(null=True, default=None)
    reason = Text(default="")


class PayoutItems(Table):
    """What a payout has for each seller, keyed (payout, seller)."""

    payout_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    amount_minor = BigInt(default=None)
    orders = Integer(default=None)
    state = Text(default="included")
    reason = Text(default="")


class PayoutOrders(Table):
    """The seller orders that a seller's part of a payout is of, append-only, keyed (payout, seller, order)."""

    payout_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    order_id = UUID(default=None)
    seller_no = SmallInt(default=None)
    amount_minor = BigInt(default=None)


class InvoiceCounters(Table):
    """The last number of each seller's invoices and credit notes, keyed (seller, kind)."""

    seller_id = UUID(primary_key=True, default=None)
    kind = Text(default=None)
    last = Integer(default=None)


class Invoices(Table):
    """Invoices of seller orders and credit notes, append-only, keyed (order, number of the seller order, cause)."""

    order_id = UUID(primary_key=True, default=None)
    seller_no = SmallInt(default=None)
    cause_id = UUID(default=None)
    seller_id = UUID(default=None)
    kind = Text(default=None)
    number = Integer(default=None)
    issued_at = Timestamptz(default=None)
    content = JSON(default=None)
