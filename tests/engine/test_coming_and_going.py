"""A worker comes and goes while bells ring: none finds its engine closed, and a stop says nothing but that it stops."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.journal.declare import Batch
from domain.journal.model import Succeeded
from infra import broker
from infra.broker import Doorbell, Silent
from infra.settings import Settings
from ops.stack import Supervisor
from ops.stack.valkey import Valkey
from tests.engine.bells import queued, redis_of, worker_of
from tests.engine.parts import batch_job
from tests.system import eventually
from workers.engine import Engine

JOB, LANE = "test_notes", "orders"


async def succeed(batch: Batch[Any]) -> list[Succeeded]:
    return [Succeeded()] * len(batch.commands)


def test_a_bell_that_hangs_at_a_start_finds_the_engine_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    start = Engine.start

    async def start_late(engine: Engine) -> None:
        # Threads, if there were any yet, would answer the bell at once.
        await asyncio.sleep(0.3)
        await start(engine)

    bell = Doorbell(settings.redis_url)
    bell.ring(JOB, LANE)
    bell.close()
    monkeypatch.setattr(Engine, "start", start_late)
    with redis_of(settings) as client, worker_of(settings, [batch_job(succeed)]):
        eventually(lambda: queued(client, LANE) == 0, 5)
        eventually(lambda: not client.exists(broker.ring_key(JOB)), 5)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_doorbell_says_nothing_after_it_was_closed(settings: Settings):
    bell = Doorbell(settings.redis_url)
    bell.ring(JOB, LANE)
    bell.close()
    with pytest.raises(Silent):
        bell.answered(JOB)
    bell.quietly(bell.answered, JOB)
    with redis_of(settings) as client:
        assert client.exists(broker.ring_key(JOB))


def test_a_doorbell_is_closed_when_what_is_being_said_has_been_said(settings: Settings):
    """Threads of Dramatiq's go on answering while the engine stops."""
    bell = Doorbell(settings.redis_url)
    saying, go_on = threading.Event(), threading.Event()
    exchange, failures = bell._exchange, []

    def slowly(packed: Any) -> object:
        saying.set()
        assert go_on.wait(10)
        return exchange(packed)

    bell._exchange = slowly  # type: ignore[method-assign]

    def answer() -> None:
        try:
            bell.answered(JOB)
        except Exception as error:  # noqa: BLE001 - the test tells
            failures.append(error)

    answering, closing = threading.Thread(target=answer), threading.Thread(target=bell.close)
    answering.start()
    assert saying.wait(5)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive(), "it waits for the answer"
    go_on.set()
    answering.join(5)
    closing.join(5)
    assert (failures, closing.is_alive()) == ([], False)


def test_bells_that_cannot_be_given_back_stop_no_worker_from_stopping(settings: Settings, tmp_path: Path):
    supervisor = Supervisor()
    valkey = Valkey(folder=tmp_path, run=tmp_path, log=tmp_path / "log", user=None)
    supervisor.add(valkey.child())
    try:
        eventually(lambda: valkey.why_not_ready() is None)
        alone = msgspec.structs.replace(settings, redis_url=valkey.url)
        bell = Doorbell(alone.redis_url)
        bells = broker.BellBroker(alone.redis_url, threads=1, middleware=broker.middleware())
        bells.declare_queue(LANE)
        bell.ring(JOB, LANE)
        bell.close()
        consumer = bells.consume(LANE, prefetch=1, timeout=1_000)
        message = eventually(lambda: next(consumer))
        supervisor.remove("valkey")
        assert valkey.why_not_ready() is not None, "nobody takes the bell back"
        consumer.requeue([message])
        consumer.close()
        bells.client.close()
        bells.bell_client.close()
    finally:
        supervisor.stop()
