"""Products, in SQL: what a seller says of one, the slugs it had, and the read model of lists.

What products were called the category of becomes one: a root of that name, made by the system.
"""

CATEGORIES = r"""
CREATE TEMP TABLE named_categories ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, name,
       left(coalesce(nullif(trim('-' FROM regexp_replace(lower(name), '[^a-z0-9]+', '-', 'g')), ''), 'untitled'), 60)
           AS stem
FROM (SELECT DISTINCT trim(category) AS name FROM products WHERE trim(category) <> '') AS known;

INSERT INTO categories (id, name, slug, path)
SELECT id, name, trim('-' FROM stem) || '-' || substr(md5(id::text), 1, 12), ARRAY[id] FROM named_categories;

INSERT INTO events (stream, version, type, data, actor)
SELECT c.id, 1, 'category.created',
       jsonb_build_object('name', c.name, 'slug', c.slug, 'parent_id', NULL, 'position', 0),
       '00000000-0000-0000-0000-000000000000'
FROM categories c JOIN named_categories USING (id);
"""

PRODUCTS = r"""
ALTER TABLE products
    ADD COLUMN category_id uuid REFERENCES categories (id),
    ADD COLUMN slug text,
    ADD COLUMN description text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    ADD COLUMN meta_title text NOT NULL DEFAULT '' CHECK (length(meta_title) <= 70),
    ADD COLUMN meta_description text NOT NULL DEFAULT '' CHECK (length(meta_description) <= 160),
    -- Why it was rejected, until it is submitted again.
    ADD COLUMN reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD CONSTRAINT products_reason_of_rejection CHECK (reason = '' OR status IN ('rejected', 'draft'));
UPDATE products p SET
    category_id = (SELECT id FROM named_categories c WHERE c.name = trim(p.category)),
    slug = 'product-' || replace(id::text, '-', ''),
    updated_at = created_at;

-- The slugs that products have and had: a link stays good. A slug is taken before its product is written.
CREATE TABLE product_slugs (
    slug text PRIMARY KEY CHECK (length(slug) <= 100 AND slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    product_id uuid NOT NULL
);
INSERT INTO product_slugs (slug, product_id) SELECT slug, id FROM products;

ALTER TABLE products
    DROP COLUMN category,
    ALTER COLUMN slug SET NOT NULL,
    ADD CONSTRAINT products_slug_key UNIQUE (slug),
    ADD CONSTRAINT products_slug_fkey FOREIGN KEY (slug) REFERENCES product_slugs (slug);
CREATE INDEX products_category ON products (category_id);
"""

LISTINGS = r"""
-- What GET /products filters and sorts by: one row for each product, and one for each currency it has a price in. The
-- tree's shape isn't in it, so a move of categories rewrites nothing.
CREATE TABLE listings (
    product_id uuid NOT NULL,
    -- Empty in the product's own row, whatever it costs.
    currency text NOT NULL CHECK (currency ~ '^([A-Z]{3})?$'),
    -- The lowest among the offers that stand.
    price_minor bigint NOT NULL CHECK (currency <> '' OR price_minor = 0),
    status text NOT NULL,
    seller_id uuid NOT NULL,
    category_id uuid,
    slug text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    -- The owner, and everyone with an offer that stands.
    sellers uuid[] NOT NULL,
    -- code=value for each attribute of the product and of its active variants.
    tokens text[] NOT NULL,
    -- When an offer's validity next begins or ends; in the product's own row.
    due_at timestamptz,
    PRIMARY KEY (product_id, currency)
) WITH (fillfactor = 90);
CREATE INDEX listings_newest ON listings (currency, status, created_at, product_id);
CREATE INDEX listings_title ON listings (currency, status, slug, product_id);
CREATE INDEX listings_price ON listings (currency, status, price_minor, product_id);
CREATE INDEX listings_category ON listings (currency, status, category_id, price_minor);
-- A search is in one currency or in none: two indexes hold half of what one would have to read for it. And they keep no
-- list of pending entries, which every search would have to read as well.
CREATE INDEX listings_found ON listings USING gin (sellers, tokens) WITH (fastupdate = off) WHERE currency = '';
CREATE INDEX listings_found_priced ON listings USING gin (sellers, tokens) WITH (fastupdate = off) WHERE currency <> '';
CREATE INDEX listings_due ON listings (due_at) WHERE due_at IS NOT NULL;

-- Sellers whose status has changed, and how far their products were listed anew since.
CREATE TABLE relistings (
    seller_id uuid PRIMARY KEY,
    -- A SKU: what the seller offers under a greater one is still to be listed.
    after text NOT NULL DEFAULT ''
);

INSERT INTO listings (product_id, currency, price_minor, status, seller_id, category_id, slug, created_at, sellers,
    tokens)
SELECT p.id, c.currency, c.price_minor, p.status, p.seller_id, p.category_id, p.slug, p.created_at,
       ARRAY(
           SELECT p.seller_id UNION
           SELECT o.seller_id FROM variants v JOIN offers o ON o.variant_id = v.id JOIN sellers s ON s.id = o.seller_id
           WHERE v.product_id = p.id AND o.active AND v.active AND s.status = 'approved' ORDER BY 1
       ),
       ARRAY(
           SELECT DISTINCT concat(e.key, '=', e.value)
           FROM variants v CROSS JOIN LATERAL jsonb_each_text(v.attributes) AS e
           WHERE v.product_id = p.id AND v.active ORDER BY 1
       )
FROM products p
CROSS JOIN LATERAL (
    SELECT '' AS currency, 0 AS price_minor
    UNION ALL
    SELECT o.currency, min(o.price_minor)
    FROM variants v JOIN offers o ON o.variant_id = v.id JOIN sellers s ON s.id = o.seller_id
    WHERE v.product_id = p.id AND o.active AND v.active AND s.status = 'approved' GROUP BY o.currency
) AS c;
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [CATEGORIES, PRODUCTS, LISTINGS]
