"""Pricing: promotions with their codes, uses and versions; commission rules; rate cards; priced orders.

What an order froze stands in its own rows, so no rule is ever needed again to read it.
"""

VERSIONS = """
CREATE TABLE pricing_versions (
    part text PRIMARY KEY CHECK (part IN ('commission', 'promotions', 'rates')),
    version bigint NOT NULL CHECK (version > 0)
) WITH (fillfactor = 50);
"""

PROMOTIONS = """
CREATE TABLE promotions (
    id uuid PRIMARY KEY,
    -- Who made it for its own offers; the platform's have none.
    seller_id uuid,
    state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'active', 'paused', 'ended')),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    content jsonb NOT NULL,
    -- Of the content, for the sweep that starts and ends promotions.
    starts_at timestamptz,
    ends_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (starts_at < ends_at)
);
CREATE INDEX promotions_seller ON promotions (seller_id, id);
CREATE INDEX promotions_active ON promotions (id) WHERE state = 'active';
CREATE INDEX promotions_ending ON promotions (ends_at) WHERE state IN ('active', 'paused') AND ends_at IS NOT NULL;

CREATE TABLE promotion_versions (
    promotion_id uuid NOT NULL REFERENCES promotions (id),
    version integer NOT NULL CHECK (version > 0),
    content jsonb NOT NULL,
    actor uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (promotion_id, version)
);

CREATE TABLE promotion_codes (
    -- As codes are compared; text is as it was made.
    key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 100),
    text text NOT NULL,
    promotion_id uuid NOT NULL REFERENCES promotions (id),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX promotion_codes_promotion ON promotion_codes (promotion_id, key);

-- How often limited promotions were used: by one user, or, under the user of zeros, by all. The database itself refuses
-- the use that would be one too many.
CREATE TABLE promotion_uses (
    promotion_id uuid NOT NULL,
    user_id uuid NOT NULL,
    used integer NOT NULL CHECK (used >= 0),
    most integer NOT NULL,
    PRIMARY KEY (promotion_id, user_id),
    CHECK (used <= most)
) WITH (fillfactor = 70);

CREATE TABLE redemptions (
    order_id uuid NOT NULL,
    promotion_id uuid NOT NULL,
    version integer NOT NULL,
    code text,
    buyer uuid NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    redeemed_at timestamptz NOT NULL DEFAULT now(),
    returned_at timestamptz,
    -- One use per order.
    PRIMARY KEY (order_id, promotion_id)
) WITH (fillfactor = 90);
CREATE INDEX redemptions_promotion ON redemptions (promotion_id, order_id);
"""

COMMISSION = """
CREATE TABLE commission_rules (
    id uuid NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    content jsonb NOT NULL,
    -- Some order's line pays by it: from then on it is ended, not changed.
    used boolean NOT NULL DEFAULT false,
    -- The versions of commission rules at which it came and went: what held at any of them can be told for good.
    from_version bigint NOT NULL,
    to_version bigint,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL,
    PRIMARY KEY (id, revision),
    CHECK (to_version > from_version)
);
CREATE UNIQUE INDEX commission_rules_current ON commission_rules (id) WHERE to_version IS NULL;

CREATE TABLE commission_snapshots (
    order_id uuid NOT NULL,
    line_no smallint NOT NULL,
    seller_id uuid NOT NULL,
    rule_id uuid,
    base_minor bigint NOT NULL CHECK (base_minor >= 0),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND base_minor),
    currency text NOT NULL,
    -- Every rule that covered the line, and why it lost.
    considered jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- One for each line, ever.
    PRIMARY KEY (order_id, line_no),
    CHECK (rule_id IS NOT NULL OR amount_minor = 0)
);
CREATE INDEX commission_snapshots_newest ON commission_snapshots (created_at, order_id, line_no);
CREATE INDEX commission_snapshots_seller ON commission_snapshots (seller_id, created_at, order_id, line_no);
CREATE INDEX commission_snapshots_rule ON commission_snapshots (rule_id, created_at, order_id, line_no);
"""

RATES = """
CREATE TABLE rate_cards (
    kind text NOT NULL CHECK (kind IN
        ('price_lists', 'shipping_methods', 'shipping_rates', 'shipping_zones', 'tax_rates')),
    -- A seller; zeros are the platform.
    owner uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    content jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (kind, owner)
);
ALTER TABLE accounts ADD COLUMN buyer_group text CHECK (buyer_group ~ '^[a-z0-9][a-z0-9_-]{0,49}$');
"""

# Lines that were placed before have no commission and no tax: none was agreed on.
ORDERS = """
ALTER TABLE orders
    ADD COLUMN commission_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN ship_to jsonb;
ALTER TABLE order_lines
    ADD COLUMN product_id uuid,
    ADD COLUMN categories uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN weight_grams integer NOT NULL DEFAULT 0 CHECK (weight_grams >= 0),
    ADD COLUMN commission_rule_id uuid,
    ADD COLUMN commission_rate_bp integer NOT NULL DEFAULT 0 CHECK (commission_rate_bp BETWEEN 0 AND 10000),
    ADD COLUMN commission_fixed_minor bigint NOT NULL DEFAULT 0 CHECK (commission_fixed_minor >= 0),
    ADD COLUMN commission_minimum_minor bigint NOT NULL DEFAULT 0 CHECK (commission_minimum_minor >= 0),
    ADD COLUMN commission_maximum_minor bigint CHECK (commission_maximum_minor >= 0),
    ADD COLUMN tax_rate_ppm integer CHECK (tax_rate_ppm BETWEEN 0 AND 1000000),
    ADD COLUMN tax_inclusive boolean,
    ADD CHECK ((tax_rate_ppm IS NULL) = (tax_inclusive IS NULL));
-- Arrays beside ``lines``, and beside ``sellers``; an empty one says that there is nothing of the kind.
ALTER TABLE price_versions
    ADD COLUMN seller_discounts_minor bigint[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (seller_discounts_minor)),
    ADD COLUMN platform_discounts_minor bigint[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (platform_discounts_minor)),
    ADD COLUMN taxes_minor bigint[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (taxes_minor)),
    ADD COLUMN added_taxes_minor bigint[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (added_taxes_minor)),
    ADD COLUMN sellers smallint[] NOT NULL DEFAULT '{}',
    ADD COLUMN shipping_minor bigint[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (shipping_minor)),
    ADD COLUMN shipping_seller_discounts_minor bigint[] NOT NULL DEFAULT '{}'
        CHECK (0 <= ALL (shipping_seller_discounts_minor)),
    ADD COLUMN shipping_platform_discounts_minor bigint[] NOT NULL DEFAULT '{}'
        CHECK (0 <= ALL (shipping_platform_discounts_minor)),
    ADD COLUMN shipping_taxes_minor bigint[] NOT NULL DEFAULT '{}' CHECK (0 <= ALL (shipping_taxes_minor)),
    ADD COLUMN shipping_added_taxes_minor bigint[] NOT NULL DEFAULT '{}'
        CHECK (0 <= ALL (shipping_added_taxes_minor)),
    -- Methods and rates of tax of the sellers' shipping, and what became of each promotion and code.
    ADD COLUMN shipping_terms jsonb,
    ADD COLUMN promotions jsonb;
"""

FROZEN_TABLES = ("promotion_versions", "commission_snapshots")


def statements() -> list[str]:
    """Return the statements in the order they run."""
    frozen = [
        f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
        for table in FROZEN_TABLES
    ]
    return [VERSIONS, PROMOTIONS, COMMISSION, RATES, ORDERS, *frozen]
