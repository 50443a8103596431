"""Ending tasks for good."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.1


async def end(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel tasks and return when they have ended; what they raised is theirs.

    A cancellation can be lost: where it comes together with a time-out, or with an answer, Python 3.11's ``wait_for``
    and redis-py report those and go on. So it is repeated until the task has heard it.
    """
    waiting = {task for task in tasks if task is not None}
    while waiting:
        for task in waiting:
            task.cancel()
        done, waiting = await asyncio.wait(waiting, timeout=AGAIN_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()
