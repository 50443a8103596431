"""Arguments for the statements of fulfilment; its rows are those of ``money_rows``."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.orders import fulfilment_sql


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    count = len(ids)
    tracked = [f"T{240 * n + 7}" for n in range(count)]
    f = fulfilment_sql.__name__
    return {
        (f, "LOAD_FULFILLED"): (ids,),
        (f, "LOAD_PARTS"): (ids,),
        (f, "LOAD_UNITS"): (ids,),
        (f, "LOAD_SHIPMENTS"): (ids,),
        (f, "DELIVER_SHIPMENTS"): (ids, datetime.now(UTC)),
        (f, "FIND_TRACKED"): (["manual"] * count, tracked),
    }
