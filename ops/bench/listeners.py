"""``listeners``: orders at a steady pace, alone and beside many who listen to ``GET /stream`` and hear nothing."""

import asyncio
from urllib.parse import urlsplit

from domain.accounts.model import Role
from infra.clock import new_id
from infra.security import Tokens
from ops.bench.flow import start_as_in_production, tidy_memory
from ops.bench.loop import encode_requests
from ops.bench.model import Scenario, percentiles
from ops.bench.orders import TOKEN_SECONDS, draw_orders
from ops.bench.pace import place
from ops.bench.stage import Stage

QUIET = "seller.applied"
"""What none of these orders makes happen."""


async def listeners(stage: Stage) -> Scenario:
    """Measure placing and the api's memory without listeners, then with them."""
    sizes = stage.sizes
    async with stage.scene("listeners") as scene:
        base_url = await start_as_in_production(scene)
        requests = encode_requests(
            base_url, draw_orders(stage.goods, sizes.requests), stage.tokens, without_wait_every=0
        )
        await scene.calm()
        tidy_memory()
        probe = scene.probe()
        probe.start()
        alone = await place(stage, base_url, requests, probe.watch(sizes.seconds))
        before = probe.finish().resident().api
        token = Tokens(stage.stack.secret_key).sign(new_id(), frozenset({Role.ADMIN}), TOKEN_SECONDS)
        ears = await asyncio.gather(*(_listen(base_url, token) for _ in range(sizes.listeners)))
        try:
            probe = scene.probe()
            probe.start()
            meanwhile = await place(stage, base_url, requests, probe.watch(sizes.seconds))
            usage = probe.finish()
        finally:
            for ear in ears:
                ear.close()
        return Scenario(
            listeners_mb=round(usage.resident().api - before, 1),
            undisturbed_ms=percentiles(alone.taken),
            outcome_ms=percentiles(meanwhile.taken),
            cores=usage.cores,
            note=f"{sizes.listeners} listeners; {sizes.paced_orders_per_second} orders/s",
            problems=[*alone.problems, *meanwhile.problems],
        )


async def _listen(base_url: str, token: str) -> asyncio.StreamWriter:
    """Open a stream; raises unless it begins."""
    at = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    head = f"GET /stream?types={QUIET} HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"retry: 2000\n\n"), 60)
    if b" 200 " not in answer.split(b"\r\n")[0]:
        raise RuntimeError(f"a listener was answered {answer[:200]!r}")
    return writer
