"""Webhook endpoints, what is delivered to them, and each try."""

ENDPOINTS = """
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    -- The platform's has none.
    seller_id uuid,
    url text NOT NULL CHECK (length(url) <= 2000),
    events text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 100),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 200),
    -- Sealed for it.
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text NOT NULL DEFAULT '' CHECK (length(disabled_reason) <= 500),
    failing_since timestamptz,
    version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CHECK (enabled = (disabled_reason = ''))
);
CREATE INDEX webhook_endpoints_seller ON webhook_endpoints (seller_id, id);
"""

# What is sent stands here whole: what a seller hears of an event is less than the event.
DELIVERIES = """
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL,
    seller_id uuid,
    stream uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    event_type text NOT NULL,
    body text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'succeeded', 'failed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- The tries before it was last sent anew by hand.
    attempts_before integer NOT NULL DEFAULT 0,
    status smallint,
    error text NOT NULL DEFAULT '',
    latency_ms integer,
    next_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    -- An event is told to an endpoint once.
    UNIQUE (endpoint_id, stream, version),
    CHECK ((state = 'pending') = (ended_at IS NULL)),
    CHECK (attempts_before <= attempts)
) WITH (fillfactor = 70);
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_seller ON webhook_deliveries (seller_id, id) WHERE seller_id IS NOT NULL;
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (id) WHERE state = 'failed';
"""

ATTEMPTS = """
CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL,
    attempt_no integer NOT NULL CHECK (attempt_no > 0),
    at timestamptz NOT NULL,
    url text NOT NULL,
    status smallint,
    latency_ms integer NOT NULL,
    error text NOT NULL,
    response text NOT NULL CHECK (length(response) <= 1000),
    PRIMARY KEY (delivery_id, attempt_no)
);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [ENDPOINTS, DELIVERIES, ATTEMPTS]
