"""Ask both catalogs in turn: their first pages, filtered pages, and then the large one's products beside a constant."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle

from msgspec import Struct

from ops.bench.catalog.fill import COLOURS, CURRENCY, MATERIALS, Filled, fill
from ops.bench.flow import tidy_memory
from ops.bench.model import Percentiles, Scenario, percentiles
from ops.bench.orders import SEED
from ops.bench.stage import Stage
from ops.load import Client
from ops.processes import free_port

LIST_CONNECTIONS = 1
"""So that no request waits for another: what is measured is the page, not a queue."""
RATE_CONNECTIONS = 16
TURNS = 6
QUERIES = 300
PRODUCTS = 500
"""Different products that are asked for in turn: what many look at at once."""


class Asked(Struct, frozen=True):
    """A client of one catalog's api, and the requests to send in turn."""

    client: Client
    first_page: Sequence[bytes]
    filtered_pages: Sequence[bytes]
    products: Sequence[bytes]
    constant: Sequence[bytes]


class Tally(Struct):
    """What came back: how long each answer took, and how many had each status."""

    seconds: list[float]
    statuses: Counter[int]
    took: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return round(len(self.seconds) / self.took, 1)


Cell = tuple[Client, Sequence[bytes], Tally]
"""What is asked in a turn: whom, what, and where to note the answers."""


async def catalog(stage: Stage) -> Scenario:
    """Measure lists over two sizes, and the rate of one product against a constant's."""
    sizes = stage.sizes
    async with AsyncExitStack() as opened:
        catalogs = [await _open(stage, opened, variants) for variants in sizes.catalog_variants]
        tidy_memory()
        first = [(asked.client, asked.first_page, _tally()) for asked in catalogs]
        filtered = [(asked.client, asked.filtered_pages, _tally()) for asked in catalogs]
        large = catalogs[-1]
        rates = [(large.client, large.products, _tally()), (large.client, large.constant, _tally())]
        await _take_turns([*first, *filtered], LIST_CONNECTIONS, sizes.seconds * 0.75, sizes.warm_up_seconds)
        await _take_turns(rates, RATE_CONNECTIONS, sizes.seconds * 0.25, sizes.warm_up_seconds)
    statuses: Counter[int] = Counter()
    for _, _, tally in (*first, *filtered, *rates):
        statuses.update(tally.statuses)
    return Scenario(
        first_page_ms=_by_size(sizes.catalog_variants, first),
        filtered_page_ms=_by_size(sizes.catalog_variants, filtered),
        product_per_second=rates[0][2].per_second,
        constant_per_second=rates[1][2].per_second,
        problems=[f"{count} requests were answered with {s}" for s, count in statuses.items() if s != 200],
    )


def _tally() -> Tally:
    return Tally([], Counter())


def _by_size(variants: Sequence[int], cells: Sequence[Cell]) -> dict[str, Percentiles]:
    measured = zip(variants, (percentiles(tally.seconds) for _, _, tally in cells), strict=True)
    return {str(count): figures for count, figures in measured if figures is not None}


async def _open(stage: Stage, opened: AsyncExitStack, variants: int) -> Asked:
    """A filled catalog with an api of its own; both go when the scenario ends."""
    scene = await opened.enter_async_context(stage.scene(f"catalog{variants}", stocked=False))
    filled = await fill(scene.conn, variants)
    await scene.calm()
    port = free_port()
    await scene.start_other("api", "ops.bench.catalog.web", "api_ready", port=port, RATE_LIMITS="off")
    client = await opened.enter_async_context(Client(f"http://127.0.0.1:{port}", connections=RATE_CONNECTIONS))
    products = [client.encode("GET", f"/products/{product}") for product in filled.products[:PRODUCTS]]
    pages = [client.encode("GET", f"/products?{query}") for query in draw_queries(filled)]
    first_page, constant = client.encode("GET", "/products"), client.encode("GET", "/constant")
    return Asked(client, [first_page], pages, products, [constant])


def draw_queries(filled: Filled) -> list[str]:
    """Pages of a category with what is below it, of one value of an attribute, within two prices."""
    draw = random.Random(SEED)  # noqa: S311 - a seeded draw, so that both catalogs are asked the same
    return [_query(draw, filled) for _ in range(QUERIES)]


def _query(draw: random.Random, filled: Filled) -> str:
    category = draw.choice(filled.categories)
    attribute = draw.choice([f"attr.colour={draw.choice(COLOURS)}", f"attr.material={draw.choice(MATERIALS)}"])
    low = draw.randrange(0, 10_000)
    prices = f"currency={CURRENCY}&price_min={low}&price_max={low + draw.choice([2_000, 10_000, 30_000])}"
    return f"category={category}&{attribute}&{prices}"


async def _take_turns(cells: Sequence[Cell], connections: int, seconds: float, warm_up_seconds: float) -> None:
    """Ask each in short turns, one after the other, each for as long in all."""
    for client, requests, _ in cells:
        await _ask(client, requests, connections, warm_up_seconds / len(cells), _tally())
    for _ in range(TURNS):
        for client, requests, tally in cells:
            await _ask(client, requests, connections, seconds / len(cells) / TURNS, tally)


async def _ask(client: Client, requests: Sequence[bytes], connections: int, seconds: float, tally: Tally) -> None:
    """Send requests in turn over so many connections, each its next one when the last is answered."""
    started = time.perf_counter()
    next_request = cycle(requests)

    async def keep_asking() -> None:
        while (sent_at := time.perf_counter()) < started + seconds:
            answer = await client.send(next(next_request))
            tally.seconds.append(time.perf_counter() - sent_at)
            tally.statuses[answer.status] += 1

    await asyncio.gather(*(keep_asking() for _ in range(connections)))
    tally.took += time.perf_counter() - started
