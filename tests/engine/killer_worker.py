"""``python -m tests.engine.killer_worker``: a worker some of whose commands end the process that runs them."""

import asyncio
import os
import signal
from typing import Any

from domain.journal.declare import Batch
from domain.journal.model import Succeeded
from infra import settings, telemetry
from infra.process import die_with_parent
from tests.engine.parts import Call, batch_job, effect_job, write_texts
from workers.engine import Engine

DEADLY = "deadly"
DEADLY_ONCE = "deadly once"


async def notes(batch: Batch[Any]) -> Any:
    """Write texts; a deadly one ends the process after its neighbours' rows are written."""
    outcomes = await write_texts(batch)
    if any(c.command.text == DEADLY or (c.command.text == DEADLY_ONCE and not c.attempts) for c in batch.commands):
        os.kill(os.getpid(), signal.SIGKILL)
    return outcomes


async def calls(attempt: Any) -> Succeeded:
    """Do nothing, or die of it the first time."""
    if attempt.command.text == DEADLY_ONCE and attempt.claimed.attempts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return Succeeded({"attempts": attempt.claimed.attempts})


async def main() -> None:
    config = settings.load()
    telemetry.configure(config, "killer")
    engine = Engine(config, [batch_job(notes), effect_job(calls, Call, lease_seconds=1.0)])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await engine.start()
    telemetry.logger().info("killer_ready")
    await stop.wait()
    await engine.stop()


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(main())
