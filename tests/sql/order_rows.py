"""Arguments for the statements that look for orders."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.orders import search_reads

LAST = UUID(int=2**128 - 1)


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    now = datetime.now(UTC)
    said = {
        "number": 7,
        "email": "nobody@example.com",
        "seller": sample["sellers"][0],
        "buyer": sample["buyers"][0],
        "status": "confirmed",
    }
    page = (LAST, UUID(int=0), now - timedelta(days=7), now, 50)
    return {
        (search_reads.__name__, f"SEARCHES {filters}"): (*page, *(said[name] for name in filters.split()))
        for filters in search_reads.SEARCHES
    }
