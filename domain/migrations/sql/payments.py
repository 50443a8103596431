"""Payments of orders: attempts, refunds, chargebacks, and charges that nobody can explain."""

PAYMENTS = """
CREATE TABLE payments (
    -- The id of the command that started it.
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    attempt_no smallint NOT NULL CHECK (attempt_no > 0),
    gateway text NOT NULL,
    capture text NOT NULL CHECK (capture IN ('now', 'on_shipment')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN
        ('pending', 'action_required', 'failed', 'authorized', 'voided', 'captured')),
    -- The gateway's name of it; none while nothing has been heard.
    reference text,
    captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    -- What its gateway has given back, and what was asked to be given back and hasn't failed.
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    asked_minor bigint NOT NULL DEFAULT 0 CHECK (asked_minor >= 0),
    reason text,
    action_url text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- When the sweep last had it looked up.
    checked_at timestamptz,
    UNIQUE (order_id, attempt_no),
    UNIQUE (gateway, reference),
    CHECK ((state = 'captured') = (captured_minor > 0)),
    CONSTRAINT payments_never_over_captured CHECK (captured_minor <= amount_minor),
    CONSTRAINT payments_never_over_refunded CHECK (refunded_minor <= captured_minor),
    CONSTRAINT payments_never_over_asked CHECK (asked_minor <= captured_minor)
) WITH (fillfactor = 70);
CREATE INDEX payments_open ON payments (updated_at) WHERE state IN ('pending', 'action_required', 'authorized');

CREATE TABLE refunds (
    payment_id uuid NOT NULL REFERENCES payments (id),
    refund_no smallint NOT NULL CHECK (refund_no > 0),
    order_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'succeeded', 'failed')),
    reference text,
    error text,
    -- The command that asked for it.
    cause_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (payment_id, refund_no),
    CHECK ((state = 'pending') = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX refunds_order ON refunds (order_id);
CREATE INDEX refunds_open ON refunds (created_at) WHERE state = 'pending';

CREATE TABLE chargebacks (
    gateway text NOT NULL,
    reference text NOT NULL,
    payment_id uuid NOT NULL REFERENCES payments (id),
    order_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    fee_minor bigint NOT NULL CHECK (fee_minor >= 0),
    currency text NOT NULL,
    -- Who bears it.
    liable text NOT NULL CHECK (liable IN ('seller', 'platform')),
    state text NOT NULL CHECK (state IN ('opened', 'won', 'lost')),
    reason text NOT NULL DEFAULT '',
    opened_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (gateway, reference),
    CHECK ((state = 'opened') = (ended_at IS NULL))
);
CREATE INDEX chargebacks_payment ON chargebacks (payment_id);

CREATE TABLE orphaned_charges (
    gateway text NOT NULL,
    reference text NOT NULL,
    -- What the charge says it is for; there is no such payment.
    payment_id uuid,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    found_at timestamptz NOT NULL,
    refunded_at timestamptz,
    PRIMARY KEY (gateway, reference)
);

-- Until when each gateway's books were compared with ours.
CREATE TABLE reconciliations (
    gateway text PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE TABLE commission_reversals (
    order_id uuid NOT NULL,
    line_no smallint NOT NULL,
    cause_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    at timestamptz NOT NULL DEFAULT now(),
    -- What a command takes back of a line, it takes back once.
    PRIMARY KEY (order_id, line_no, cause_id)
);
"""

# ``payment_id`` is the attempt that moves the order. ``held_by`` is whose children the reservations of its lines are,
# once its stock was taken again for a late payment; until then they are the order's own.
ORDERS = """
ALTER TABLE orders
    ADD COLUMN payment_id uuid,
    ADD COLUMN held_by uuid;
-- A line that was cancelled after the order was paid is refunded; no version of the price leaves it out.
ALTER TABLE cancelled_lines ADD COLUMN paid boolean NOT NULL DEFAULT false;
"""

FROZEN_TABLES = ("commission_reversals",)


def statements() -> list[str]:
    """Return the statements in the order they run."""
    frozen = [
        f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
        for table in FROZEN_TABLES
    ]
    return [PAYMENTS, ORDERS, *frozen]
