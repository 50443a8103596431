"""Arguments for the statements of fulfilment; its rows are those of ``money_rows``."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.orders import fulfilment_sql, seller_order_reads, shipment_reads


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    count = len(ids)
    tracked = [f"T{240 * n + 7}" for n in range(count)]
    f, r, v = fulfilment_sql.__name__, seller_order_reads.__name__, shipment_reads.__name__
    page = (max(ids), 1023, 50, None)
    return {
        (f, "LOAD_FULFILLED"): (ids,),
        (f, "LOAD_PARTS"): (ids,),
        (f, "LOAD_UNITS"): (ids,),
        (f, "LOAD_SHIPMENTS"): (ids,),
        (f, "DELIVER_SHIPMENTS"): (ids, datetime.now(UTC)),
        (f, "FIND_TRACKED"): (["manual"] * count, tracked),
        (r, "LIST_SELLER_ORDERS"): page,
        (r, "LIST_SELLER_ORDERS_OF"): (*page, sample["sellers"][0]),
        (r, "FIND_SELLER_ORDER"): (ids[0], 0),
        (r, "LOAD_ORDERS"): (ids,),
        (r, "LOAD_SELLERS_LINES"): (ids,),
        (v, "LOAD_SHIPMENT_VIEWS"): (ids,),
    }
