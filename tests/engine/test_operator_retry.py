"""An operator's retry runs what was parked, also when it was parked because its attempts were used up."""

from typing import Any

import pytest

from domain.journal.model import Succeeded
from domain.journal.sql import UNPARK
from infra.clock import new_id
from tests.builders import submit
from tests.engine.parts import Call, Note, Rig, effect_job, write_texts
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio


async def test_a_command_that_wore_out_its_attempts_runs_again_when_an_operator_says_so(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    await rig.conn.execute("UPDATE pending SET attempts = 3")
    runner = rig.runner(write_texts, attempts_max=3)
    await rig.drain(runner)
    assert await rig.statuses([command_id]) == ["failed"]
    assert await rig.conn.fetchval(UNPARK, command_id, 1) == "test_notes"
    await rig.drain(runner)
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_an_effect_that_used_up_its_tries_runs_again_when_an_operator_says_so(rig: Rig):
    tried: list[Any] = []

    async def run(attempt: Any) -> Succeeded:
        tried.append(attempt)
        return Succeeded()

    (command_id,) = await submit(rig.conn, Call("a"))
    await rig.conn.execute("UPDATE pending SET attempts = 5")
    runner = EffectRunner(effect_job(run, attempts_max=5))
    assert (await runner.claim(rig.conn, new_id(), 8))[0] == []
    assert await rig.statuses([command_id]) == ["failed"]
    await rig.conn.fetchval(UNPARK, command_id, 1)
    (held,), _ = await runner.claim(rig.conn, new_id(), 8)
    assert held.claimed.id == command_id
