"""The ledger, what is settled of it with sellers, payouts and invoices."""

# A posting is the entries with one cause and kind. Debits are positive, credits negative.
LEDGER = """
CREATE TABLE ledger_entries (
    cause_id uuid NOT NULL,
    kind text NOT NULL,
    entry_no smallint NOT NULL CHECK (entry_no >= 0),
    account text NOT NULL,
    -- The seller's id, the gateway's name, or nothing.
    owner text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    order_id uuid,
    at timestamptz NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    -- A cause has one posting of a kind.
    PRIMARY KEY (cause_id, kind, entry_no)
);
CREATE INDEX ledger_entries_order ON ledger_entries (order_id) WHERE order_id IS NOT NULL;
-- Lists and statements go by time; entries of one batch by their position.
CREATE INDEX ledger_entries_account ON ledger_entries (account, owner, currency, at, position);
CREATE INDEX ledger_entries_at ON ledger_entries (at, position);
-- Of the kinds that each sale has an entry is never far; of the others it would be looked for among all.
CREATE INDEX ledger_entries_rare ON ledger_entries (kind, at, position)
    WHERE kind NOT IN ('capture', 'sale', 'tax', 'shipping', 'commission');

CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger_entries WHERE cause_id = NEW.cause_id AND kind = NEW.kind
        GROUP BY currency HAVING sum(amount_minor) <> 0
    ) THEN
        RAISE EXCEPTION 'the posting % of % does not balance', NEW.kind, NEW.cause_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();

-- What the entries of each account sum to.
CREATE TABLE ledger_accounts (
    account text NOT NULL,
    owner text NOT NULL,
    currency text NOT NULL,
    balance_minor bigint NOT NULL,
    PRIMARY KEY (account, owner, currency)
) WITH (fillfactor = 50);
"""

CHARGEBACKS = "CREATE INDEX chargebacks_order ON chargebacks (order_id)"

# Of each seller order: what its seller has of it that no payout has taken yet, and from when on one may.
SETTLEMENTS = """
CREATE TABLE settlements (
    order_id uuid NOT NULL,
    seller_no smallint NOT NULL,
    seller_id uuid NOT NULL,
    currency text NOT NULL,
    balance_minor bigint NOT NULL,
    -- Null until it is delivered; -infinity while it isn't and its seller owes something of it.
    settles_at timestamptz,
    -- Chargebacks that are open: nothing is paid out of it meanwhile.
    disputes smallint NOT NULL DEFAULT 0 CHECK (disputes >= 0),
    PRIMARY KEY (order_id, seller_no)
) WITH (fillfactor = 50);
CREATE INDEX settlements_due ON settlements (currency, seller_id, settles_at)
    WHERE settles_at IS NOT NULL AND balance_minor <> 0 AND disputes = 0;
CREATE INDEX settlements_disputed ON settlements (seller_id, currency) WHERE disputes > 0;
"""

PAYOUTS = """
CREATE TABLE payouts (
    -- The id of the command that asked for it.
    id uuid PRIMARY KEY,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN (
        'collecting', 'pending_approval', 'approved', 'paying', 'paid', 'failing', 'failed', 'empty')),
    version integer NOT NULL DEFAULT 0,
    -- What had settled by then is in it.
    until timestamptz NOT NULL,
    minimum_minor bigint NOT NULL CHECK (minimum_minor > 0),
    -- Collecting goes by sellers in the order of their ids: the last one it has looked at.
    after_seller uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    -- What was collected, whatever became of it.
    sellers integer NOT NULL DEFAULT 0 CHECK (sellers >= 0),
    orders integer NOT NULL DEFAULT 0 CHECK (orders >= 0),
    total_minor bigint NOT NULL DEFAULT 0 CHECK (total_minor >= 0),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    approved_by uuid,
    approved_at timestamptz,
    ended_at timestamptz,
    reason text NOT NULL DEFAULT ''
) WITH (fillfactor = 70);
-- A seller's money doesn't fall into two payouts because two were asked for at once.
CREATE UNIQUE INDEX payouts_collecting ON payouts (currency) WHERE state = 'collecting';

CREATE TABLE payout_items (
    payout_id uuid NOT NULL REFERENCES payouts (id),
    seller_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    orders integer NOT NULL CHECK (orders > 0),
    state text NOT NULL DEFAULT 'included' CHECK (state IN ('included', 'withdrawn', 'paid', 'failed')),
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (payout_id, seller_id)
) WITH (fillfactor = 80);
CREATE INDEX payout_items_seller ON payout_items (seller_id, payout_id);

CREATE TABLE payout_orders (
    payout_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    order_id uuid NOT NULL,
    seller_no smallint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (payout_id, seller_id, order_id)
);
CREATE INDEX payout_orders_order ON payout_orders (order_id);
"""

INVOICES = """
CREATE TABLE invoice_counters (
    seller_id uuid NOT NULL,
    kind text NOT NULL,
    last integer NOT NULL CHECK (last >= 0),
    PRIMARY KEY (seller_id, kind)
) WITH (fillfactor = 50);

CREATE TABLE invoices (
    order_id uuid NOT NULL,
    seller_no smallint NOT NULL,
    -- The order for its invoice; what gave something back for a credit note.
    cause_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    number integer NOT NULL CHECK (number > 0),
    issued_at timestamptz NOT NULL,
    content json NOT NULL,
    PRIMARY KEY (order_id, seller_no, cause_id),
    UNIQUE (seller_id, kind, number)
);
"""

FROZEN_TABLES = ("ledger_entries", "payout_orders", "invoices")


def statements() -> list[str]:
    """Return the statements in the order they run."""
    frozen = [
        f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
        for table in FROZEN_TABLES
    ]
    return [LEDGER, CHARGEBACKS, SETTLEMENTS, PAYOUTS, INVOICES, *frozen]
