"""The books of the sandbox: what a real gateway would keep on its own machines."""

# Nothing of ours refers to it and it refers to nothing of ours: it can be emptied at any time.
INTENTS = """
CREATE TABLE sandbox_intents (
    reference text PRIMARY KEY,
    payment_id uuid NOT NULL,
    order_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL,
    token text NOT NULL,
    capture text NOT NULL CHECK (capture IN ('now', 'on_shipment')),
    state text NOT NULL CHECK (state IN ('action_required', 'failed', 'authorized', 'voided', 'captured')),
    captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    refunds text[] NOT NULL DEFAULT '{}',
    reason text,
    calls integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sandbox_intents_payment ON sandbox_intents (payment_id);
CREATE INDEX sandbox_intents_created ON sandbox_intents (created_at, reference);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [INTENTS]
