from collections.abc import Iterator

import pytest

from ops.stack import EmbeddedStack
from tests.api.shop import Shop
from tests.fuzz.market import ENVIRONMENT, Market
from tests.fuzz.run import SECONDS, SEED


def pytest_report_header() -> str:
    return f"make fuzz: FUZZ_SECONDS={SECONDS} FUZZ_SEED={SEED}"


@pytest.fixture(scope="module")
def market(stack: EmbeddedStack, template: str) -> Iterator[Market]:
    """An api process and a worker, with people and goods."""
    shop = Shop(stack, template, redis_database=3)
    try:
        shop.web(**ENVIRONMENT)
        shop.system.worker()
        yield Market(shop)
    finally:
        shop.close()
