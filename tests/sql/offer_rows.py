"""Parameters for the statements about variants and offers, for the tests of plans."""

from datetime import UTC, datetime
from typing import Any

from domain.catalog import offer_sql, variant_sql


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name; ``sample`` has ids of offers' variants and sellers."""
    variants, sellers = sample["variants"], sample["sellers"]
    count, now = len(variants), datetime.now(UTC)
    skus, ones, nothing = [str(n) for n in range(count)], [1] * count, [None] * count
    terms = (skus, ones, ["USD"] * count, [True] * count, [now] * count, nothing, ones, nothing)
    o, v = offer_sql.__name__, variant_sql.__name__
    return {
        (o, "LOAD_STATES"): (variants, sellers),
        (o, "UPDATE"): (variants, sellers, *terms, [2] * count),
        (v, "LOCK_PRODUCTS_OF"): (variants,),
        (v, "UPDATE"): (variants, [True] * count, nothing, ones, [2] * count),
    }
