"""What must be true of orders' prices at every moment: checks for ``domain.invariants``, by name.

Each is about a slice of orders: those from the first id to below the second. An empty array of a version stands for
zeros. A line's price never changes, so what discounts leave of it holds for every version, however often it was priced.
"""

from collections.abc import Mapping


def in_slice(column: str) -> str:
    """The slice of ids that a statement is about.

    An order's rows are found by its id, its reservations' ids follow its own, and so does what is compared with
    them: a slice of ids holds orders whole. The bounds stand at every table, for the planner takes them from none.
    """
    return f"{column} >= $1 AND {column} < $2"


def _sum(array: str) -> str:
    return f"coalesce((SELECT sum(a) FROM unnest({array}) AS a), 0)"


def last_version(of: str) -> str:
    """The last price version of an order, whose id is given."""
    return f"SELECT * FROM price_versions v WHERE v.order_id = {of} ORDER BY version DESC LIMIT 1"


_DISCOUNTS = ("seller_discounts_minor", "platform_discounts_minor")
_SHIPPING_DISCOUNTS = ("shipping_seller_discounts_minor", "shipping_platform_discounts_minor")
_BESIDE_LINES = (*_DISCOUNTS, "taxes_minor", "added_taxes_minor")
_BESIDE_SHIPPING = (*_SHIPPING_DISCOUNTS, "shipping_taxes_minor", "shipping_added_taxes_minor")

_SHIPPING_CHARGED = (
    f"{_sum('shipping_minor')} - {_sum(_SHIPPING_DISCOUNTS[0])} - {_sum(_SHIPPING_DISCOUNTS[1])}"
    f" + {_sum('shipping_added_taxes_minor')}"
)

SUMS = (
    f"{' + '.join(_sum(name) for name in (*_DISCOUNTS, *_SHIPPING_DISCOUNTS))} AS discount_minor,"
    f" {_sum('shipping_minor')} AS shipping_minor,"
    f" {_sum('taxes_minor')} + {_sum('shipping_taxes_minor')} AS tax_minor"
)
"""What an event tells of a price, besides its total."""

_PRICE_VERSIONS_ADD_UP = f"""
SELECT coalesce(o.id, p.order_id)::text AS key
FROM (SELECT id FROM orders WHERE {in_slice("id")}) o
FULL JOIN (
    SELECT order_id, count(*) AS versions, max(version) AS last, bool_and(
        total_minor = {_sum("amounts_minor")} + {_sum("added_taxes_minor")} + {_SHIPPING_CHARGED}) AS add_up
    FROM price_versions WHERE {in_slice("order_id")} GROUP BY order_id
) p ON p.order_id = o.id
WHERE o.id IS NULL OR p.order_id IS NULL OR p.versions <> p.last OR NOT p.add_up
"""

_PRICE_PARTS_STAND_SIDE_BY_SIDE = f"""
SELECT order_id::text AS key FROM price_versions
WHERE {in_slice("order_id")} AND (
    cardinality(amounts_minor) <> cardinality(lines) OR cardinality(shipping_minor) <> cardinality(sellers)
    OR jsonb_array_length(coalesce(shipping_terms, '[]')) <> cardinality(sellers)
    {"".join(f"OR cardinality({name}) NOT IN (0, cardinality(lines)) " for name in _BESIDE_LINES)}
    {"".join(f"OR cardinality({name}) NOT IN (0, cardinality(sellers)) " for name in _BESIDE_SHIPPING)})
GROUP BY 1
"""

_LINES_OF_VERSIONS = f"""
SELECT v.order_id, v.version, u.line_no, u.net + coalesce(u.by_seller, 0) + coalesce(u.by_platform, 0) AS gross
FROM price_versions v
CROSS JOIN LATERAL unnest(v.lines, v.amounts_minor, {", ".join(f"v.{name}" for name in _DISCOUNTS)})
    AS u (line_no, net, by_seller, by_platform)
WHERE u.line_no IS NOT NULL AND {in_slice("v.order_id")}
"""

_FIRST_PRICE_VERSION_IS_THE_LINES = f"""
SELECT coalesce(p.order_id, l.order_id)::text AS key
FROM ({_LINES_OF_VERSIONS} AND v.version = 1) p
FULL JOIN (SELECT * FROM order_lines WHERE {in_slice("order_id")}) l
  ON l.order_id = p.order_id AND l.line_no = p.line_no
WHERE p.order_id IS NULL OR l.order_id IS NULL OR p.gross <> l.total_minor
GROUP BY 1
"""

_LATER_PRICE_VERSIONS_ARE_OF_THE_LINES = f"""
SELECT p.order_id::text AS key
FROM ({_LINES_OF_VERSIONS} AND v.version > 1) p
LEFT JOIN (SELECT * FROM order_lines WHERE {in_slice("order_id")}) l
  ON l.order_id = p.order_id AND l.line_no = p.line_no
WHERE l.order_id IS NULL OR p.gross <> l.total_minor
GROUP BY 1
"""


def _taken_off(kind: str) -> str:
    """What promotions took off, by who bears it and by number of the line, or of the seller order."""
    return f"""
SELECT part ->> 'funding' AS funding, (pair ->> 0)::int AS n, sum((pair ->> 1)::bigint) AS amount
FROM jsonb_array_elements(v.promotions) AS part CROSS JOIN jsonb_array_elements(part -> '{kind}') AS pair
WHERE part ->> 'reason' IS NULL GROUP BY 1, 2
"""


def _discounted(numbers: str, by_seller: str, by_platform: str) -> str:
    """The same as the arrays have it."""
    sides = ((by_seller, "seller"), (by_platform, "platform"))
    return " UNION ALL ".join(
        f"SELECT '{funding}' AS funding, u.n::int, u.amount FROM unnest(v.{numbers}, v.{name}) AS u (n, amount)"
        " WHERE u.amount > 0"
        for name, funding in sides
    )


def _differ(kind: str, numbers: str, names: tuple[str, str]) -> str:
    return f"""
EXISTS (
    SELECT FROM ({_taken_off(kind)}) AS t
    FULL JOIN ({_discounted(numbers, *names)}) AS d ON d.funding = t.funding AND d.n = t.n
    WHERE t.amount IS DISTINCT FROM d.amount
)
"""


_PROMOTIONS_ARE_THE_DISCOUNTS = f"""
SELECT v.order_id::text AS key FROM price_versions v
WHERE {in_slice("v.order_id")} AND (
    v.promotions IS NOT NULL OR {" OR ".join(f"v.{name} <> '{{}}'" for name in (*_DISCOUNTS, *_SHIPPING_DISCOUNTS))})
  AND ({_differ("lines", "lines", _DISCOUNTS)} OR {_differ("shipping", "sellers", _SHIPPING_DISCOUNTS)})
GROUP BY 1
"""

# Of orders that have lines left. That one which came to nothing has given back what it used, is told elsewhere.
_REDEMPTIONS_MATCH_PRICES = f"""
WITH open AS (
    SELECT o.id, v.promotions
    FROM orders o CROSS JOIN LATERAL ({last_version("o.id")}) v
    WHERE {in_slice("o.id")} AND o.expired_at IS NULL AND o.payment <> 'voided'
      AND EXISTS (SELECT FROM seller_orders s WHERE s.order_id = o.id AND s.fulfilment <> 'cancelled')
)
SELECT coalesce(p.order_id, r.order_id)::text AS key
FROM (
    SELECT o.id AS order_id, (part ->> 'promotion_id')::uuid AS promotion_id, part ->> 'code' AS code,
           t.amount
    FROM open o CROSS JOIN LATERAL jsonb_array_elements(o.promotions) AS part
    CROSS JOIN LATERAL (
        SELECT sum((pair ->> 1)::bigint) AS amount FROM (
            SELECT pair FROM jsonb_array_elements(coalesce(part -> 'lines', '[]')) AS pair
            WHERE (pair ->> 0)::int NOT IN (SELECT c.line_no FROM cancelled_lines c WHERE c.order_id = o.id AND c.paid)
            UNION ALL
            SELECT pair FROM jsonb_array_elements(coalesce(part -> 'shipping', '[]')) AS pair
            WHERE (pair ->> 0)::int NOT IN (
                SELECT s.seller_no FROM seller_orders s WHERE s.order_id = o.id AND s.fulfilment = 'cancelled')
        ) AS left_of_it
    ) t
    WHERE part ->> 'reason' IS NULL AND t.amount IS NOT NULL
) p
FULL JOIN (
    SELECT r.* FROM redemptions r JOIN open o ON o.id = r.order_id
    WHERE r.returned_at IS NULL AND {in_slice("r.order_id")}
) r ON r.order_id = p.order_id AND r.promotion_id = p.promotion_id
WHERE p.order_id IS NULL OR r.order_id IS NULL OR (r.code, r.amount_minor) IS DISTINCT FROM (p.code, p.amount)
GROUP BY 1
"""

PRICES: Mapping[str, str] = {
    "price_versions_add_up": _PRICE_VERSIONS_ADD_UP,
    "price_parts_stand_side_by_side": _PRICE_PARTS_STAND_SIDE_BY_SIDE,
    "first_price_version_is_the_lines": _FIRST_PRICE_VERSION_IS_THE_LINES,
    "later_price_versions_are_of_the_lines": _LATER_PRICE_VERSIONS_ARE_OF_THE_LINES,
    "promotions_are_the_discounts": _PROMOTIONS_ARE_THE_DISCOUNTS,
    "redemptions_match_prices": _REDEMPTIONS_MATCH_PRICES,
}
