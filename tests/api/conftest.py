from collections.abc import Callable, Iterator

import pytest

from ops.stack import EmbeddedStack
from tests.api.shop import Shop


@pytest.fixture(scope="package")
def shop(stack: EmbeddedStack, template: str) -> Iterator[Shop]:
    """Two api processes and a worker with default settings, shared by all tests of this folder.

    A test leaves nothing queued and no lane paused.
    """
    running = Shop(stack, template, redis_database=1)
    try:
        running.web()
        running.web("web2")
        running.system.worker()
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
