from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ops.stack import EmbeddedStack
from tests.api import goods
from tests.api.goods import Seller
from tests.api.shop import Shop
from tests.docs.test_events import documented


@pytest.fixture(scope="package")
def shop(stack: EmbeddedStack, template: str) -> Iterator[Shop]:
    """Two api processes and a worker with default settings, shared by all tests of this folder.

    A test leaves nothing queued and no lane paused.
    """
    running = Shop(stack, template, redis_database=1)
    try:
        _open(running)
        yield running
        # Whatever the routes wrote, over all tests: events have the fields that docs/events.md lists.
        page = documented()
        rows = running.fetch("SELECT type, array(SELECT jsonb_object_keys(data)) AS fields FROM events")
        wrong = {(row["type"], *sorted(row["fields"])) for row in rows if page.get(row["type"]) != set(row["fields"])}
        assert wrong == set()
    finally:
        running.close()


def _open(shop: Shop) -> None:
    with shop.system.fleet.together():
        shop.web()
        shop.web("web2")
        shop.system.worker()


@pytest.fixture(scope="module")
def small_shop(stack: EmbeddedStack, template: str) -> Iterator[Shop]:
    """The same for one file alone, so that it holds little: for tests that look at all that stands in it."""
    running = Shop(stack, template, redis_database=4)
    try:
        _open(running)
        yield running
    finally:
        running.close()


@pytest.fixture
def make_shop(stack: EmbeddedStack, template: str) -> Iterator[Callable[[], Shop]]:
    """Shops of one test alone, with no process running yet."""
    made: list[Shop] = []

    def make() -> Shop:
        made.append(Shop(stack, template, redis_database=2))
        return made[-1]

    yield make
    for running in made:
        running.close()


@pytest.fixture(scope="package")
def seller(shop: Shop) -> Seller:
    return goods.seller(shop)


@pytest.fixture(scope="package")
def shirts(shop: Shop) -> dict[str, Any]:
    return goods.shirts(shop)
