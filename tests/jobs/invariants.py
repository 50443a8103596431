"""What must hold whatever happened: queries that return violations."""

from typing import Any

CHECKS = {
    "the figures of stock are the sums of its movements": """
        SELECT k.variant_id FROM stock k LEFT JOIN movements m USING (variant_id, seller_id, location)
        GROUP BY k.variant_id, k.seller_id, k.location, k.on_hand, k.reserved
        HAVING k.on_hand <> coalesce(sum(m.on_hand_delta), 0) OR k.reserved <> coalesce(sum(m.reserved_delta), 0)
    """,
    "what is reserved is what active reservations hold": """
        SELECT k.variant_id FROM stock k LEFT JOIN reservations r
            ON (r.variant_id, r.seller_id, r.location) = (k.variant_id, k.seller_id, k.location) AND r.status = 'active'
        GROUP BY k.variant_id, k.seller_id, k.location, k.reserved
        HAVING k.reserved <> coalesce(sum(r.quantity), 0)
    """,
    "each command is queued, parked or ended: one of them": """
        SELECT c.id FROM commands c LEFT JOIN pending p USING (id) LEFT JOIN parked k USING (id)
            LEFT JOIN outcomes o USING (id)
        WHERE num_nonnulls(p.id, k.id, o.id) <> 1
    """,
    "an order that was placed is there, and no other": """
        SELECT coalesce(o.id, c.id) FROM outcomes o JOIN commands c ON c.id = o.id AND c.job = 'place_orders'
        FULL JOIN orders r ON r.id = o.id WHERE (o.status = 'succeeded') IS DISTINCT FROM (r.id IS NOT NULL)
    """,
    "the versions of a stream have no gap": """
        SELECT stream FROM events GROUP BY stream HAVING max(version) <> count(*) OR min(version) <> 1
    """,
    "an order's version is its stream's": """
        SELECT o.id FROM orders o WHERE o.version <> (SELECT max(version) FROM events e WHERE e.stream = o.id)
    """,
    "a price version's total is the sum of its amounts": """
        SELECT order_id FROM price_versions
        WHERE total_minor <> (SELECT coalesce(sum(a), 0) FROM unnest(amounts_minor) AS a)
    """,
    "a cancelled line holds nothing": """
        SELECT c.order_id FROM cancelled_lines c JOIN reservations r ON r.order_id = c.order_id
            AND r.status = 'active' AND get_byte(uuid_send(r.id), 15) = c.line_no
    """,
}


async def violations(conn: Any) -> dict[str, list[Any]]:
    """The checks that fail, with what fails them."""
    found = {name: await conn.fetch(query) for name, query in CHECKS.items()}
    return {name: [row[0] for row in rows] for name, rows in found.items() if rows}
