"""Ending tasks: also those that lose a cancellation."""

import asyncio

import pytest

from infra import tasks

pytestmark = pytest.mark.anyio


async def test_a_task_that_loses_cancellations_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.001)
    lost = []

    async def deaf() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if len(lost) == 3:
                    raise
                lost.append("as a time-out that falls due at the same moment does")

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.end(task), 10)
    assert task.cancelled()
    assert len(lost) == 3


async def test_what_a_task_raised_stays_its_own():
    async def broken() -> None:
        raise ZeroDivisionError

    async def whole() -> None:
        pass

    ended = [asyncio.create_task(broken()), asyncio.create_task(whole())]
    await asyncio.sleep(0)
    await tasks.end(None, *ended)
    assert all(task.done() for task in ended)
    await tasks.end()
