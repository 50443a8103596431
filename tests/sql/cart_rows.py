"""Over 10,000 carts for the tests of plans, and parameters for the statements of carts."""

from typing import Any
from uuid import UUID

import msgspec

from domain.orders import cart_sql
from infra.clock import new_id

# A cart has the id of the order it became; every third is open.
FILL = """
INSERT INTO carts (id, owner, currency, promotions, order_id, updated_at)
    SELECT id, buyer, 'USD', 'strict', CASE WHEN n % 3 > 0 THEN id END, now() - make_interval(hours => n::int)
    FROM numbers;
INSERT INTO cart_lines (cart_id, line_no, variant_id, seller_id, quantity, unit_price_minor)
    SELECT id, 0, variant, seller, 1, 100 FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement."""
    ids: list[UUID] = sample["ids"]
    buyers, count = sample["buyers"], len(sample["ids"])
    row = {"owner": buyers[0], "version": 1, "currency": "USD", "codes": [], "promotions": "strict"}
    row |= {"email": None, "shipping_address_id": None, "shipping_address": None, "shipping_methods": {}}
    old, new = (msgspec.json.encode([{"id": one, **row} for one in many]).decode() for many in (ids, [new_id()]))
    c = cart_sql.__name__
    return {
        (c, "LOCK_OWNER"): (1,),
        (c, "COUNT_CARTS"): (buyers[0],),
        (c, "LOCK_CARTS"): (ids,),
        (c, "LOCK_CARTS_OF"): (buyers[:2],),
        (c, "LOAD_CARTS"): (ids,),
        (c, "LOAD_LINES"): (ids,),
        (c, "INSERT_CARTS"): (new,),
        (c, "REPLACE_CARTS"): (old,),
        (c, "INSERT_LINES"): (ids, [1] * count, sample["variants"], sample["sellers"], [1] * count, [1] * count),
        (c, "DELETE_LINES"): (ids,),
        (c, "DELETE_CARTS"): (ids,),
        (c, "NOTE_CHECKOUT"): (ids[0], ids[0], 2),
        (c, "LIST_CARTS_OF"): (buyers[0], max(ids), 50),
        (c, "LIST_CARTS"): (max(ids), 50),
        (c, "PRUNE_CARTS"): (100, 30),
    }
