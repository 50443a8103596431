"""Carts and their lines."""

# A cart notes the order of its last checkout. Whether that closed it is told by the order, or by the command that is to
# place it, and stored nowhere else.
CARTS = """
CREATE TABLE carts (
    id uuid PRIMARY KEY,
    owner uuid NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    codes text[] NOT NULL DEFAULT '{}',
    promotions text NOT NULL CHECK (promotions IN ('strict', 'best_effort')),
    email text,
    shipping_address_id uuid,
    shipping_address jsonb,
    shipping_methods jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    order_id uuid UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(shipping_address_id, shipping_address) <= 1)
);
CREATE INDEX carts_owner ON carts (owner, id DESC);
CREATE INDEX carts_updated_at ON carts (updated_at);
"""

LINES = """
CREATE TABLE cart_lines (
    cart_id uuid NOT NULL REFERENCES carts (id) ON DELETE CASCADE,
    line_no smallint NOT NULL CHECK (line_no >= 0),
    variant_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price_minor bigint NOT NULL CHECK (unit_price_minor >= 0),
    PRIMARY KEY (cart_id, line_no),
    UNIQUE (cart_id, variant_id, seller_id)
);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [CARTS, LINES]
