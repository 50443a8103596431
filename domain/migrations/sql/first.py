"""The first schema, in SQL: Piccolo has no partitions, composite keys, partial indexes or triggers.

Constraints carry the invariants wherever one can. Foreign keys stand inside an aggregate only; what crosses
aggregates is checked by the audit.
"""

JOURNAL = """
CREATE TABLE commands (
    id uuid PRIMARY KEY,
    job text NOT NULL,
    principal uuid NOT NULL,
    aggregate uuid,
    payload json NOT NULL,
    correlation text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (id);
CREATE INDEX commands_principal ON commands (principal, id);

CREATE TABLE outcomes (
    id uuid PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('succeeded', 'rejected', 'cancelled')),
    attempts smallint NOT NULL DEFAULT 0,
    result json,
    problem json,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((status = 'rejected') = (problem IS NOT NULL))
) PARTITION BY RANGE (id);

CREATE TABLE pending (
    id uuid PRIMARY KEY,
    job text NOT NULL,
    run_at timestamptz NOT NULL DEFAULT now(),
    aggregate uuid,
    weight smallint NOT NULL DEFAULT 1 CHECK (weight > 0),
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    generation smallint NOT NULL DEFAULT 0 CHECK (generation >= 0),
    first_tried_at timestamptz,
    lease uuid,
    solo boolean NOT NULL DEFAULT false,
    error text
) WITH (
    -- A queue: every row is deleted soon. Frequent small vacuums keep its head short.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000
);
CREATE INDEX pending_due ON pending (job, run_at, id);
CREATE INDEX pending_aggregate ON pending (aggregate, id) WHERE aggregate IS NOT NULL;
CREATE INDEX pending_solo ON pending (job, run_at, id) WHERE solo;

CREATE TABLE parked (
    id uuid PRIMARY KEY,
    job text NOT NULL,
    attempts smallint NOT NULL,
    generation smallint NOT NULL DEFAULT 0,
    first_tried_at timestamptz,
    error text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parked_job ON parked (job, id);

CREATE TABLE idempotency (
    principal uuid NOT NULL,
    key_hash bytea NOT NULL CHECK (octet_length(key_hash) = 16),
    command_id uuid NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 16),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, key_hash)
);
-- Rows arrive in the order of created_at, so a block range index finds the old ones at almost no cost.
CREATE INDEX idempotency_created ON idempotency USING brin (created_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE paused_lanes (
    lane text PRIMARY KEY,
    paused_by uuid NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    lanes text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);

-- What each worker has in hand: noted outside the batch's transaction, so that it survives a crash.
CREATE TABLE runs (
    worker uuid NOT NULL,
    job text NOT NULL,
    xid xid8 NOT NULL,
    ids uuid[] NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (worker, job)
) WITH (fillfactor = 50);

CREATE TABLE events (
    stream uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    type text NOT NULL,
    data jsonb NOT NULL,
    actor uuid NOT NULL,
    correlation text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    position bigint GENERATED ALWAYS AS IDENTITY,
    -- Commits land out of the order of positions: a reader goes by the transaction, below the oldest open one.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (stream, version)
);
"""

CATALOG = """
CREATE TABLE sellers (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    status text NOT NULL CHECK (status IN ('applied', 'approved', 'rejected', 'suspended')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
    id uuid PRIMARY KEY,
    seller_id uuid NOT NULL REFERENCES sellers (id),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 500),
    category text CHECK (length(category) <= 200),
    status text NOT NULL CHECK (status IN
        ('draft', 'pending_approval', 'approved', 'rejected', 'active', 'inactive', 'archived')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE variants (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products (id),
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX variants_product ON variants (product_id);

CREATE TABLE offers (
    variant_id uuid NOT NULL REFERENCES variants (id),
    seller_id uuid NOT NULL REFERENCES sellers (id),
    sku text NOT NULL CHECK (length(sku) BETWEEN 1 AND 100),
    price_minor bigint NOT NULL CHECK (price_minor BETWEEN 0 AND 1000000000000000),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (variant_id, seller_id),
    UNIQUE (seller_id, sku)
) WITH (fillfactor = 80);
"""

INVENTORY = """
CREATE TABLE stock (
    variant_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    location smallint NOT NULL DEFAULT 0 CHECK (location >= 0),
    on_hand integer NOT NULL DEFAULT 0,
    reserved integer NOT NULL DEFAULT 0,
    backorder_limit integer NOT NULL DEFAULT 0,
    PRIMARY KEY (variant_id, seller_id, location),
    FOREIGN KEY (variant_id, seller_id) REFERENCES offers (variant_id, seller_id),
    CONSTRAINT stock_reserved_not_negative CHECK (reserved >= 0),
    CONSTRAINT stock_backorder_not_negative CHECK (backorder_limit >= 0),
    CONSTRAINT stock_on_hand_within_backorder CHECK (on_hand >= -backorder_limit),
    CONSTRAINT stock_never_oversold CHECK (reserved <= on_hand + backorder_limit)
) WITH (
    -- Half-empty pages keep the hot rows' updates on their page and out of the index.
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    variant_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    location smallint NOT NULL DEFAULT 0,
    quantity integer NOT NULL CHECK (quantity > 0),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'confirmed', 'released', 'expired')),
    owner uuid NOT NULL,
    order_id uuid,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX reservations_due ON reservations (expires_at, id) WHERE status = 'active';
CREATE INDEX reservations_due_of_offer ON reservations (variant_id, seller_id, expires_at) WHERE status = 'active';

CREATE TABLE movements (
    cause_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN
        ('received', 'reserved', 'released', 'expired', 'sold', 'returned', 'adjusted')),
    variant_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    location smallint NOT NULL DEFAULT 0,
    on_hand_delta integer NOT NULL DEFAULT 0,
    reserved_delta integer NOT NULL DEFAULT 0,
    actor uuid NOT NULL,
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    at timestamptz NOT NULL DEFAULT now(),
    -- One movement of a kind per cause: a reservation can't be released twice.
    PRIMARY KEY (cause_id, kind),
    CHECK (on_hand_delta <> 0 OR reserved_delta <> 0)
);
"""

ORDERS = """
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number >= 0),
    buyer uuid NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    payment text NOT NULL DEFAULT 'unpaid' CHECK (payment IN
        ('unpaid', 'pending', 'action_required', 'failed', 'authorized', 'paid',
         'partially_refunded', 'refunded', 'voided')),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    placed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    expired_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX orders_buyer ON orders (buyer, id);

CREATE TABLE seller_orders (
    order_id uuid NOT NULL REFERENCES orders (id),
    seller_id uuid NOT NULL,
    seller_no smallint NOT NULL CHECK (seller_no BETWEEN 0 AND 1023),
    fulfilment text NOT NULL DEFAULT 'awaiting' CHECK (fulfilment IN
        ('awaiting', 'processing', 'partly_shipped', 'shipped', 'delivered', 'cancelled', 'returned')),
    PRIMARY KEY (order_id, seller_id)
) WITH (fillfactor = 80);

CREATE TABLE order_lines (
    order_id uuid NOT NULL,
    line_no smallint NOT NULL CHECK (line_no BETWEEN 0 AND 1023),
    seller_id uuid NOT NULL,
    variant_id uuid NOT NULL,
    sku text NOT NULL,
    title text NOT NULL,
    category text,
    attributes jsonb NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price_minor bigint NOT NULL CHECK (unit_price_minor >= 0),
    total_minor bigint NOT NULL,
    PRIMARY KEY (order_id, line_no),
    FOREIGN KEY (order_id, seller_id) REFERENCES seller_orders (order_id, seller_id),
    CHECK (total_minor = unit_price_minor * quantity)
);

CREATE TABLE price_versions (
    order_id uuid NOT NULL REFERENCES orders (id),
    version smallint NOT NULL CHECK (version > 0),
    -- Which lines it charges, and how much for each; parallel arrays, one row per version.
    lines smallint[] NOT NULL,
    amounts_minor bigint[] NOT NULL CHECK (0 <= ALL (amounts_minor)),
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, version),
    CHECK (cardinality(lines) = cardinality(amounts_minor))
);

CREATE TABLE cancelled_lines (
    order_id uuid NOT NULL,
    line_no smallint NOT NULL,
    command_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    -- A line is cancelled once.
    PRIMARY KEY (order_id, line_no),
    FOREIGN KEY (order_id, line_no) REFERENCES order_lines (order_id, line_no)
);
"""

FROZEN = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
"""

FROZEN_TABLES = ("order_lines", "price_versions", "cancelled_lines", "movements", "events")


def statements() -> list[str]:
    """Return the schema's statements in the order they run."""
    frozen = [
        f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
        for table in FROZEN_TABLES
    ]
    return [JOURNAL, CATALOG, INVENTORY, ORDERS, FROZEN, *frozen]
