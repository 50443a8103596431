"""Fulfilment of orders: shipments, returns, what is given back of lines, and notes. Arrays stand beside each other."""

SHIPMENTS = """
CREATE TABLE shipments (
    -- The id of the command that shipped it.
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    seller_no smallint NOT NULL,
    seller_id uuid NOT NULL,
    lines smallint[] NOT NULL CHECK (cardinality(lines) > 0),
    quantities integer[] NOT NULL CHECK (0 < ALL (quantities) AND cardinality(quantities) = cardinality(lines)),
    carrier text NOT NULL,
    -- The carrier's number of it.
    tracking text,
    state text NOT NULL DEFAULT 'shipped' CHECK (state IN ('shipped', 'delivered')),
    shipped_at timestamptz NOT NULL,
    delivered_at timestamptz,
    CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX shipments_order ON shipments (order_id);
CREATE INDEX shipments_tracking ON shipments (carrier, tracking) WHERE tracking IS NOT NULL;
"""

RETURNS = """
CREATE TABLE returns (
    -- Derived from the command that asked for it: one for each seller order it is about.
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    seller_no smallint NOT NULL,
    seller_id uuid NOT NULL,
    lines smallint[] NOT NULL CHECK (cardinality(lines) > 0),
    quantities integer[] NOT NULL CHECK (0 < ALL (quantities) AND cardinality(quantities) = cardinality(lines)),
    -- What came back, and what of it was put back on the shelf; empty until then.
    received integer[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (received)),
    restocked integer[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (restocked)),
    state text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'approved', 'rejected', 'received')),
    reason text NOT NULL,
    -- What the seller said when approving or rejecting.
    answer text NOT NULL DEFAULT '',
    requested_by uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    received_by uuid,
    received_at timestamptz,
    CHECK ((state = 'requested') = (decided_at IS NULL)),
    CHECK ((state = 'received') = (received_at IS NOT NULL)),
    CHECK (cardinality(received) = CASE WHEN state = 'received' THEN cardinality(lines) ELSE 0 END),
    CHECK (cardinality(restocked) = cardinality(received))
) WITH (fillfactor = 70);
CREATE INDEX returns_order ON returns (order_id);
CREATE INDEX returns_seller ON returns (seller_id, id);
"""

# What a buyer gets back of a paid order, by line or by a seller's shipping, each cause once. Of units that had not been
# shipped ``unshipped`` were given back: those are not to be shipped any more.
CREDITS = """
CREATE TABLE line_credits (
    order_id uuid NOT NULL REFERENCES orders (id),
    line_no smallint NOT NULL,
    cause_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unshipped integer NOT NULL CHECK (unshipped BETWEEN 0 AND quantity),
    net_minor bigint NOT NULL CHECK (net_minor >= 0),
    platform_discount_minor bigint NOT NULL CHECK (platform_discount_minor >= 0),
    tax_minor bigint NOT NULL CHECK (tax_minor >= 0),
    added_tax_minor bigint NOT NULL CHECK (added_tax_minor BETWEEN 0 AND tax_minor),
    at timestamptz NOT NULL,
    PRIMARY KEY (order_id, line_no, cause_id)
);

CREATE TABLE shipping_credits (
    order_id uuid NOT NULL REFERENCES orders (id),
    seller_no smallint NOT NULL,
    cause_id uuid NOT NULL,
    net_minor bigint NOT NULL CHECK (net_minor >= 0),
    platform_discount_minor bigint NOT NULL CHECK (platform_discount_minor >= 0),
    tax_minor bigint NOT NULL CHECK (tax_minor >= 0),
    added_tax_minor bigint NOT NULL CHECK (added_tax_minor BETWEEN 0 AND tax_minor),
    at timestamptz NOT NULL,
    -- A seller's shipping is given back whole, and once.
    PRIMARY KEY (order_id, seller_no)
);
"""

NOTES = """
CREATE TABLE order_notes (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    -- Whose note it is: the seller that sees it beside the platform; none for the platform's own.
    seller_id uuid,
    author uuid NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    at timestamptz NOT NULL
);
CREATE INDEX order_notes_order ON order_notes (order_id, id);
"""

# When it was paid for and nothing stood in the way: from then on its sellers are owed something.
SALES = "ALTER TABLE orders ADD COLUMN sold_at timestamptz"

SEARCH = """
-- What the order's e-mail address is compared by (domain/accounts/email.py).
ALTER TABLE orders ADD COLUMN email_key text CHECK (length(email_key) BETWEEN 3 AND 640);
CREATE INDEX orders_email ON orders (email_key, id) WHERE email_key IS NOT NULL;
CREATE INDEX seller_orders_seller ON seller_orders (seller_id, order_id);
"""

FROZEN_TABLES = ("line_credits", "shipping_credits", "order_notes")


def statements() -> list[str]:
    """Return the statements in the order they run."""
    frozen = [
        f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
        for table in FROZEN_TABLES
    ]
    return [SHIPMENTS, RETURNS, CREDITS, NOTES, SALES, SEARCH, *frozen]
