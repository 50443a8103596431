"""Variants and offers, in SQL: what can be bought of a product, and on which terms."""

VARIANTS = """
UPDATE variants SET attributes = (SELECT jsonb_object_agg(key, value #>> '{}') FROM jsonb_each(attributes))
WHERE attributes <> '{}';
ALTER TABLE variants
    -- One choice for each variant-making attribute of the product.
    ADD CONSTRAINT variants_attributes_are_texts
        CHECK (NOT jsonb_path_exists(attributes, '$.* ? (@.type() <> "string")')),
    ADD COLUMN barcode text CHECK (barcode ~ '^([0-9]{8}|[0-9]{12,14})$'),
    ADD COLUMN weight_grams integer CHECK (weight_grams BETWEEN 0 AND 1000000000),
    ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0);
-- A combination is made once. By its digest: a long one would not fit into an index.
CREATE UNIQUE INDEX variants_combination ON variants (product_id, (md5(attributes::text)::uuid));
DROP INDEX variants_product;
"""

OFFERS = """
ALTER TABLE offers
    ADD COLUMN valid_from timestamptz,
    ADD COLUMN valid_until timestamptz,
    ADD COLUMN quantity_max integer CHECK (quantity_max BETWEEN 1 AND 1000000),
    -- Without one, quantity_max counts for each order.
    ADD COLUMN quantity_window_seconds integer CHECK (quantity_window_seconds BETWEEN 1 AND 31622400),
    ADD CONSTRAINT offers_end_after_they_begin CHECK (valid_until > valid_from),
    ADD CONSTRAINT offers_window_limits_a_quantity CHECK (quantity_window_seconds IS NULL OR quantity_max IS NOT NULL);
"""


# What is there already gets the events it would have had, so that events tell what the tables say.
EVENTS = """
INSERT INTO events (stream, version, type, data, actor)
SELECT id, 1, 'variant.created', to_jsonb(v) - '{id,version,created_at}'::text[], '00000000-0000-0000-0000-000000000000'
FROM variants v
ON CONFLICT DO NOTHING;
UPDATE offers SET version = version + 1;
INSERT INTO events (stream, version, type, data, actor)
SELECT md5(uuid_send(variant_id) || uuid_send(seller_id))::uuid, version, 'offer.changed',
       to_jsonb(o) - '{version,created_at}'::text[], '00000000-0000-0000-0000-000000000000'
FROM offers o;
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [VARIANTS, OFFERS, EVENTS]
