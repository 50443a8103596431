"""Making codes, where it meets itself: codes that are there by accident, commands that run again, rivals."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from domain.pricing.codes import MakeCodes, NewCodes
from domain.pricing.promotion_model import PromotionState
from infra.clock import new_id
from jobs import make_codes
from tests.builders import submit
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.promotions import write_promotion

pytestmark = pytest.mark.anyio
COUNT = "SELECT count(*) FROM promotion_codes WHERE promotion_id = $1"


async def test_as_many_more_are_made_up_as_were_there_by_accident(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    promotion = await write_promotion(rig.conn)
    drawn: list[int] = []

    def of_two_letters(count: int) -> bytes:
        """Random bytes that repeat themselves at first."""
        drawn.append(count)
        return bytes(n % 2 for n in range(count)) if len(drawn) == 1 else bytes(range(count))

    monkeypatch.setattr(make_codes.secrets, "token_bytes", of_two_letters)
    (made,) = await submit(rig.conn, MakeCodes(promotion.id, NewCodes(count=3, length=7)))
    await rig.drain(rig.runner(make_codes.make_codes))
    assert await rig.statuses([made]) == ["succeeded"]
    assert await rig.conn.fetchval(COUNT, promotion.id) == 3
    # Of the first three two were the same.
    assert drawn == [21, 7]


async def test_a_command_that_runs_again_answers_as_before_and_makes_nothing(rig: Rig):
    promotion = await write_promotion(rig.conn)
    (made,) = await submit(rig.conn, MakeCodes(promotion.id, NewCodes(count=20)))
    await rig.drain(rig.runner(make_codes.make_codes))
    await rig.conn.execute("DELETE FROM outcomes WHERE id = $1", made)
    await rig.conn.execute("INSERT INTO pending (id, job) VALUES ($1, 'make_codes')", made)
    await rig.drain(rig.runner(make_codes.make_codes))
    assert await rig.conn.fetchval(COUNT, promotion.id) == 20
    result = msgspec.json.decode(await rig.conn.fetchval("SELECT result FROM outcomes WHERE id = $1", made))
    assert result == {"promotion_id": str(promotion.id), "made": 20}


async def test_workers_that_make_the_same_codes_for_different_promotions_never_lock_in_a_circle(rig: Rig):
    promotions = [await write_promotion(rig.conn, state=PromotionState.DRAFT) for _ in range(6)]
    codes = [new_id().hex for _ in range(300)]
    wanted = [tuple(codes if n % 2 else reversed(codes)) for n in range(6)]
    commands = [MakeCodes(p.id, NewCodes(texts)) for p, texts in zip(promotions, wanted, strict=True)]
    ids = await submit(rig.conn, *commands)
    job = msgspec.structs.replace(make_codes.make_codes, commands_max=1)

    async def drain() -> None:
        try:
            await rig.drain(rig.runner(job))
        except asyncpg.DeadlockDetectedError:
            pytest.fail("locks were taken in different orders")

    await asyncio.gather(drain(), drain(), drain())
    statuses = await rig.statuses(ids)
    assert sorted(statuses) == ["rejected"] * 5 + ["succeeded"]
    counts: list[Any] = [await rig.conn.fetchval(COUNT, promotion.id) for promotion in promotions]
    assert counts == [300 * (status == "succeeded") for status in statuses]
    assert await violations(rig.conn) == {}


async def test_a_hundred_thousand_codes_fit_into_a_transaction(rig: Rig):
    promotion = await write_promotion(rig.conn)
    (made,) = await submit(rig.conn, MakeCodes(promotion.id, NewCodes(count=100_000)))
    started = asyncio.get_running_loop().time()
    await rig.drain(rig.runner(make_codes.make_codes))
    assert await rig.statuses([made]) == ["succeeded"]
    # A transaction has 10 s. This is no benchmark: it fails when a statement for each code comes in.
    assert asyncio.get_running_loop().time() - started < 8
