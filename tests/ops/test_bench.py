"""The bench: what it sends, what it says, and that a small run of it is correct. Never how fast it is."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
import uvloop
from click.testing import CliRunner

from infra.clock import new_id
from ops.bench.catalog.fill import Filled
from ops.bench.catalog.scenario import draw_queries
from ops.bench.loop import ClosedLoop, LoadError, encode_requests, endless
from ops.bench.model import Limit, Machine, Percentiles, Report, Resident, Scenario, Sizes, percentiles
from ops.bench.orders import assortment, draw_orders
from ops.bench.pricing import give_codes
from ops.bench.run import ratios, run
from ops.bench.verdict import figures, verdicts
from ops.commands.bench import command

MACHINE = Machine(2, "a model", 8.0, "3.11", "18", "9", 0.0, "a note")
TINY = Sizes(
    seconds=1.0,
    warm_up_seconds=0.3,
    offers=200,
    sellers=10,
    buyers=20,
    requests=200,
    connections=16,
    idle_orders=20,
    idle_pause_ms=(1, 10),
    sellout_buyers=300,
    sellout_units=40,
    catalog_variants=(90, 300),
    due_reservations=1_200,
    settled_orders=300,
    settled_sellers=20,
    webhook_events=120,
    listeners=20,
    paced_orders_per_second=50,
    paced_connections=8,
)


def test_a_small_run_is_correct_and_its_json_has_the_shape_that_was_agreed():
    done = uvloop.run(run(["spread", "idle", "sellout"], TINY, lambda _name: None))
    assert done.problems == []
    report = msgspec.json.decode(msgspec.json.encode(done.report))
    assert set(report) == {"scenarios", "ratios", "machine"}
    spread = report["scenarios"]["spread"]
    assert spread["orders_per_second"] > 0
    for name in ("accept_ms", "outcome_ms"):
        assert 0 < spread[name]["p50"] <= spread[name]["p99"]
    assert set(spread["rss_mb"]) == {"api", "worker"}
    assert all(megabytes > 10 for megabytes in spread["rss_mb"].values())
    assert {"api", "worker", "postgres", "client"} <= set(spread["cores"])
    idle = report["scenarios"]["idle"]
    assert idle["orders"] == TINY.idle_orders
    assert 0 < idle["p50_ms"] <= idle["p99_ms"]
    sellout = report["scenarios"]["sellout"]
    assert sellout["succeeded"] == TINY.sellout_units
    assert sellout["rejected"] == TINY.sellout_buyers - TINY.sellout_units
    # Both parts of no ratio were run.
    assert report["ratios"] == {}
    assert report["machine"]["cpus"] >= 1
    assert "load client" in report["machine"]["note"]


def test_a_small_run_over_catalogs_is_correct_and_has_its_ratios():
    done = uvloop.run(run(["catalog"], TINY, lambda _name: None))
    assert done.problems == []
    report = msgspec.json.decode(msgspec.json.encode(done.report))
    catalog = report["scenarios"]["catalog"]
    for pages in (catalog["first_page_ms"], catalog["filtered_page_ms"]):
        assert set(pages) == {"90", "300"}
        assert all(0 < page["p50"] <= page["p99"] for page in pages.values())
    assert catalog["product_per_second"] > 0
    assert catalog["constant_per_second"] > 0
    expected = {"first_page_large_over_small", "filtered_page_large_over_small", "product_over_constant"}
    assert set(report["ratios"]) == expected
    assert {verdict.name.split(",")[0] for verdict in verdicts(done.report)} == {
        "first page",
        "filtered page",
        "product over constant",
    }


def test_a_small_run_with_rules_is_correct_and_has_its_figures():
    done = uvloop.run(run(["pricing"], TINY, lambda _name: None))
    assert [problem for problem in done.problems if "promotions match" not in problem] == []
    pricing = done.report.scenarios["pricing"]
    assert (pricing.orders_per_second or 0) > 0
    assert (pricing.decide_us or 0) > 0
    assert [verdict.name.partition(" ")[0] for verdict in verdicts(done.report)] == ["deciding"]


def test_a_third_of_the_orders_gives_a_code():
    goods = assortment(TINY.offers, TINY.sellers)
    orders = give_codes(draw_orders(goods, 90), ["A", "B"])
    assert Counter(order.codes for order in orders) == {(): 60, ("A",): 15, ("B",): 15}


def test_a_small_sweep_leaves_nothing_due_and_nothing_wrong():
    done = uvloop.run(run(["expiry"], TINY, lambda _name: None))
    assert done.problems == []
    report = msgspec.json.decode(msgspec.json.encode(done.report))
    expiry = report["scenarios"]["expiry"]
    assert expiry["reservations_per_second"] > 0
    assert report["ratios"] == {
        "placing_p99_expiring_over_alone": round(expiry["outcome_ms"]["p99"] / expiry["undisturbed_ms"]["p99"], 2)
    }


def test_a_small_payout_takes_all_that_has_settled_and_nothing_is_wrong():
    done = uvloop.run(run(["payouts"], TINY, lambda _name: None))
    assert done.problems == []
    report = msgspec.json.decode(msgspec.json.encode(done.report))
    assert report["scenarios"]["payouts"]["settled_per_second"] > 0
    assert [verdict.name.partition(",")[0] for verdict in verdicts(done.report)] == ["payouts"]


def test_both_catalogs_are_asked_for_the_same_pages():
    categories = [new_id() for _ in range(9)]
    queries = draw_queries(Filled(categories, []))
    assert queries == draw_queries(Filled(categories, []))
    assert len(set(queries)) > len(queries) / 2
    for query in queries:
        names = [part.partition("=")[0] for part in query.split("&")]
        assert names[0] == "category"
        assert names[1] in {"attr.colour", "attr.material"}
        assert names[2:] == ["currency", "price_min", "price_max"]


def test_orders_have_one_to_four_different_lines_over_at_most_three_sellers():
    goods = assortment(200, 10)
    orders = draw_orders(goods, 500)
    lines = Counter(len(order.lines) for order in orders)
    assert set(lines) == {1, 2, 3, 4}
    for order in orders:
        assert len({(line.variant_id, line.seller_id) for line in order.lines}) == len(order.lines)
    assert {len({line.seller_id for line in order.lines}) for order in orders} == {1, 2, 3}


def test_a_hot_order_takes_the_hot_offer_first_and_is_otherwise_as_long_as_any():
    goods = assortment(200, 10)
    hot = goods.offers[7]
    orders = draw_orders(goods, 200, hot=hot)
    assert {(order.lines[0].variant_id, order.lines[0].quantity) for order in orders} == {(hot.variant_id, 1)}
    assert {len(order.lines) for order in orders} == {1, 2, 3, 4}


def test_two_draws_are_the_same_orders():
    goods = assortment(50, 5)
    assert draw_orders(goods, 50) == draw_orders(goods, 50)


class Shop:
    """A server that notes the keys it is sent and answers each request with the same pieces; with none it hangs up."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.keys: list[bytes] = []
        self.came = 0
        self.left = 0
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve while the body runs, and until the last client has left; yields the base URL."""
        server = await asyncio.get_running_loop().create_server(lambda: Till(self), "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await self.until(lambda: self.left == self.came)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(condition), 10)

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class Till(asyncio.Protocol):
    """One client's connection to the shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.received = b""
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.shop.came += 1

    def connection_lost(self, _exc: Exception | None) -> None:
        self.shop.left += 1
        self._spawn(self.shop.tell())

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = next((int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
        if end and len(body) == length:
            self.received = b""
            self.shop.keys.append(head.rsplit(b"Idempotency-Key: ", 1)[1])
            self._spawn(self._answer())

    def _spawn(self, work) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self) -> None:
        await self.shop.tell()
        for piece in self.shop.pieces:
            self.transport.write(piece)
            # Apart from each other, so that they arrive apart.
            await asyncio.sleep(0.001)
        if not self.shop.pieces:
            self.transport.close()


ID = b"018f3f4e-0000-7000-8000-000000000000"
BODY = b'{"id":"' + ID + b'","status":"succeeded"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


async def _load(shop: Shop, *, requests: int, connections: int) -> ClosedLoop:
    async with shop.open() as base_url:
        orders = draw_orders(assortment(20, 5), requests)
        load = ClosedLoop(base_url, iter(encode_requests(base_url, orders, ["token"])), connections=connections)
        load.measure()
        await asyncio.wait_for(load.run(), 10)
    return load


def test_every_request_carries_a_key_of_its_own_and_every_answer_is_noted():
    shop = Shop(ANSWER)
    load = asyncio.run(_load(shop, requests=40, connections=4))
    assert len(set(shop.keys)) == 40
    assert shop.came == 4
    assert load.statuses == {200: 40}
    assert load.accepted == [ID] * 40
    assert (len(load.outcome_seconds), len(load.accept_seconds)) == (36, 4)


@pytest.mark.parametrize("cut", [5, 30, len(ANSWER) - 3])
def test_an_answer_may_come_in_pieces(cut: int):
    load = asyncio.run(_load(Shop(ANSWER[:cut], ANSWER[cut:]), requests=6, connections=2))
    assert load.statuses == {200: 6}
    assert load.accepted == [ID] * 6


def test_a_connection_lost_in_the_middle_of_a_request_ends_the_run():
    with pytest.raises(LoadError):
        asyncio.run(_load(Shop(), requests=6, connections=2))


@pytest.mark.anyio
async def test_a_load_without_room_holds_back_until_there_is_some():
    shop = Shop(ANSWER)
    async with shop.open() as base_url:
        requests = encode_requests(base_url, draw_orders(assortment(20, 5), 10), ["token"])
        load = ClosedLoop(base_url, endless(requests), connections=3)
        load.allow(5)
        running = asyncio.ensure_future(load.run())
        # All five are answered, and nobody asks for a sixth.
        await shop.until(lambda: len(shop.keys) == 5)
        await asyncio.wait({running}, timeout=0.1)
        assert (load.sent, load.statuses[200], len(shop.keys)) == (5, 5, 5)
        load.allow(1)
        await shop.until(lambda: len(shop.keys) == 6)
        load.stop()
        await asyncio.wait_for(running, 10)


def test_percentiles_are_in_milliseconds_and_none_of_nothing():
    assert percentiles([]) is None
    assert percentiles([n / 1000 for n in range(1, 101)]) == Percentiles(51.0, 100.0)


def test_a_ratio_needs_both_its_parts():
    report = Report(machine=MACHINE, scenarios={"spread": Scenario(orders_per_second=5_000.0)}, ratios={})
    assert ratios(report) == {}
    report.scenarios["per_message"] = Scenario(orders_per_second=500.0)
    report.scenarios["hot"] = Scenario(orders_per_second=4_500.0)
    report.limit = Limit(6_000.0, 1_500.0, 32, "pgbench")
    assert ratios(report) == {
        "spread_over_per_message": 10.0,
        "hot_over_spread": 0.9,
        "hot_over_limit": 3.0,
        "spread_over_limit": 0.83,
    }


def test_a_verdict_tells_a_miss_from_what_must_be_and_from_the_aim():
    report = Report(
        machine=MACHINE,
        scenarios={
            "spread": Scenario(orders_per_second=2_600.0, rss_mb=Resident(api=250.0, worker=100.0)),
            "idle": Scenario(p50_ms=3.0, p99_ms=41.0),
        },
        ratios={},
    )
    assert {verdict.name: verdict.says for verdict in verdicts(report)} == {
        "spread, orders/s": "reached",
        "idle p50, ms": "aim reached",
        "idle p99, ms": "missed",
        "spread, api MB": "missed",
        "spread, worker MB": "reached",
    }
    assert [name for name, _ in figures(report)] == ["spread", "idle"]


def test_an_unknown_scenario_is_refused_by_name():
    refused = CliRunner().invoke(command, ["--scenario", "spread,warp"])
    assert refused.exit_code == 1
    assert "no scenario warp" in refused.output


def test_a_small_run_of_whole_lives_is_correct():
    done = uvloop.run(run(["lifecycle"], TINY, lambda _name: None))
    assert done.problems == []
    (lived,) = done.report.scenarios.values()
    assert lived.orders is not None
    assert lived.orders > 0
    assert [verdict.name for verdict in verdicts(done.report) if "lifecycle" in verdict.name] == ["lifecycle, orders/s"]


def test_a_small_run_of_webhooks_and_listeners_is_correct():
    done = uvloop.run(run(["webhooks", "listeners"], TINY, lambda _name: None))
    assert done.problems == []
    told, heard = done.report.scenarios["webhooks"], done.report.scenarios["listeners"]
    assert told.webhooks_per_second is not None
    assert told.webhooks_per_second > 0
    assert heard.listeners_mb is not None
    assert heard.outcome_ms is not None
