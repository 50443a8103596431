"""``sellout``: thousands of buyers, each with one order, and few units of the one offer they all want.

The other lines are as in ``hot``, so that its rate compares: what differs is that the stock runs out on the way,
and refusing an order must not cost more than placing it.
"""

import asyncio

from domain.journal.model import SYSTEM
from infra.clock import new_id
from ops.bench import checks
from ops.bench.flow import DRAIN_SECONDS_MAX, now, start_as_in_production, tidy_memory
from ops.bench.loop import ClosedLoop, encode_requests, endless
from ops.bench.model import Scenario, percentiles
from ops.bench.orders import CURRENCY, draw_buyers, draw_orders
from ops.bench.stage import Scene, Stage
from ops.catalog import write_catalog
from ops.goods import NewOffer

UNITS_HELD = """
SELECT coalesce(sum(quantity), 0) FROM reservations
WHERE variant_id = $1 AND seller_id = $2 AND status IN ('active', 'confirmed')
"""


async def sellout(stage: Stage) -> Scenario:
    """Sell out one offer; its rate counts all outcomes, granted and refused."""
    sizes = stage.sizes
    async with stage.scene("sellout") as scene:
        wanted = await _write_scarce(stage, scene)
        base_url = await start_as_in_production(scene)
        orders = draw_orders(stage.goods, sizes.sellout_buyers, hot=wanted)
        buyers = draw_buyers(stage.stack.secret_key, sizes.sellout_buyers)
        requests = encode_requests(base_url, orders, buyers, without_wait_every=0)
        warmed_up = await _warm_up(stage, base_url)
        before = await checks.count_outcomes(scene.conn)
        await scene.calm()
        load = ClosedLoop(base_url, iter(requests), connections=sizes.connections)
        tidy_memory()
        probe = scene.probe()
        probe.start()
        load.measure()
        began = await now(scene)
        await asyncio.wait_for(load.run(), DRAIN_SECONDS_MAX)
        seconds = (await now(scene) - began).total_seconds()
        usage = probe.finish()
        problems = await checks.problems(scene.conn, [*load.accepted, *warmed_up], refusals_expected=True)
        outcomes = await checks.count_outcomes(scene.conn)
        sold = await scene.conn.fetchval(UNITS_HELD, wanted.variant_id, wanted.seller_id)
    succeeded = outcomes.get("succeeded", 0) - before.get("succeeded", 0)
    if not succeeded == sold == load.statuses[200] == sizes.sellout_units:
        problems.append(
            f"of {sizes.sellout_units} units {sold} were sold: {succeeded} orders succeeded,"
            f" {load.statuses[200]} buyers were told so"
        )
    if load.statuses[200] + load.statuses[409] != sizes.sellout_buyers:
        problems.append(f"{sizes.sellout_buyers} buyers were answered with {dict(load.statuses)}")
    return Scenario(
        outcomes_per_second=round(sizes.sellout_buyers / seconds, 1),
        outcome_ms=percentiles(load.outcome_seconds),
        succeeded=succeeded,
        rejected=outcomes.get("rejected", 0),
        seconds=round(seconds, 2),
        cores=usage.cores,
        cpu_us_per_order=usage.per_order(sizes.sellout_buyers / seconds),
        problems=problems,
    )


async def _write_scarce(stage: Stage, scene: Scene) -> NewOffer:
    """Add the offer that everyone wants to the first seller's."""
    scarce = NewOffer(
        product_id=new_id(),
        variant_id=new_id(),
        seller_id=stage.goods.sellers[0].id,
        title="What everyone wants",
        category="scarce",
        attributes={},
        sku="SCARCE",
        price_minor=4_999,
        currency=CURRENCY,
        units=stage.sizes.sellout_units,
    )
    await write_catalog(scene.conn, [], [scarce], actor=SYSTEM, reason="bench")
    return scarce


async def _warm_up(stage: Stage, base_url: str) -> list[bytes]:
    """Let the processes place other orders first, as in the scenarios it is compared with."""
    requests = encode_requests(base_url, draw_orders(stage.goods, 1_000), stage.tokens, without_wait_every=0)
    load = ClosedLoop(base_url, endless(requests), connections=stage.sizes.connections)
    running = asyncio.ensure_future(load.run())
    await asyncio.wait({running}, timeout=stage.sizes.warm_up_seconds)
    load.stop()
    await asyncio.wait_for(running, DRAIN_SECONDS_MAX)
    return load.accepted
