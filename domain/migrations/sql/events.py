"""Readers of events: the order they read in, their places, and what they could not take."""

# The clock of events. As a function, because the numbers of a new cluster begin anew: what was restored there from a
# dump is then counted on from (domain.journal.event_sql.rebase_clock).
CLOCK = """
CREATE FUNCTION event_xid() RETURNS xid8 LANGUAGE sql STABLE AS $$ SELECT pg_current_xact_id() $$;
CREATE FUNCTION event_horizon() RETURNS xid8 LANGUAGE sql STABLE
    AS $$ SELECT pg_snapshot_xmin(pg_current_snapshot()) $$;
ALTER TABLE events ALTER COLUMN xid SET DEFAULT event_xid();
"""

ORDER = "CREATE INDEX events_order ON events (xid, position)"

SUBSCRIPTIONS = """
CREATE TABLE subscriptions (
    name text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 100),
    -- Everything up to here is read.
    xid xid8 NOT NULL,
    position bigint NOT NULL CHECK (position >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE subscription_failures (
    name text NOT NULL,
    stream uuid NOT NULL,
    version integer NOT NULL,
    position bigint NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, stream, version)
);
"""


# Sums over events, by day (UTC).
PROJECTIONS = """
CREATE TABLE seller_sales (
    seller_id uuid NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    orders bigint NOT NULL DEFAULT 0,
    units bigint NOT NULL DEFAULT 0,
    goods_minor bigint NOT NULL DEFAULT 0,
    discount_minor bigint NOT NULL DEFAULT 0,
    shipping_minor bigint NOT NULL DEFAULT 0,
    added_tax_minor bigint NOT NULL DEFAULT 0,
    total_minor bigint NOT NULL DEFAULT 0,
    units_back bigint NOT NULL DEFAULT 0,
    back_minor bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (seller_id, day, currency)
) WITH (fillfactor = 70);

CREATE TABLE stock_history (
    variant_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    location smallint NOT NULL,
    day date NOT NULL,
    on_hand bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    received bigint NOT NULL DEFAULT 0,
    adjusted bigint NOT NULL DEFAULT 0,
    sold bigint NOT NULL DEFAULT 0,
    returned bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (variant_id, seller_id, location, day)
) WITH (fillfactor = 70);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [CLOCK, ORDER, SUBSCRIPTIONS, PROJECTIONS]
