"""The sweep of promotions: what is over ends, once, in bounded steps; counters that are wrong raise an alarm."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from domain.journal.model import SYSTEM
from domain.pricing.book_reads import load_versions
from domain.pricing.promotion_model import PromotionState
from domain.pricing.promotion_sweep import SweepPromotions
from domain.pricing.uses import ALL_USERS
from infra import telemetry
from jobs import sweep_promotions
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.promotions import write_promotion

pytestmark = pytest.mark.anyio
STATES = "SELECT id, state FROM promotions"


async def sweep(rig: Rig) -> list[dict[str, Any]]:
    """Sweep until nothing follows; return the results of the steps."""
    (first,) = await submit(rig.conn, SweepPromotions())
    await rig.drain(rig.runner(sweep_promotions.sweep_promotions))
    rows = await rig.conn.fetch(
        "SELECT result FROM outcomes WHERE id >= $1 AND result::jsonb ? 'differing' ORDER BY id", first
    )
    return [msgspec.json.decode(row["result"]) for row in rows]


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_what_is_over_ends_once_with_an_event_of_the_systems(rig: Rig):
    over = [
        await write_promotion(rig.conn, state=state, ends_at=ago(1))
        for state in (PromotionState.ACTIVE, PromotionState.PAUSED)
    ]
    others = [
        await write_promotion(rig.conn, state=PromotionState.DRAFT, ends_at=ago(1)),
        await write_promotion(rig.conn, ends_at=ago(-3_600)),
        await write_promotion(rig.conn),
    ]
    before = await load_versions(rig.conn)
    assert await sweep(rig) == [{"ended": 2, "differing": [], "more": False}]
    assert await sweep(rig) == [{"ended": 0, "differing": [], "more": False}]
    states = {row["id"]: row["state"] for row in await rig.conn.fetch(STATES)}
    assert [states[promotion.id] for promotion in over] == ["ended", "ended"]
    assert [states[promotion.id] for promotion in others] == ["draft", "active", "active"]
    ended = await rig.conn.fetch("SELECT stream, version, actor FROM events WHERE type = 'promotion.ended'")
    assert {(row["stream"], row["version"], row["actor"]) for row in ended} == {
        (promotion.id, promotion.version + 1, SYSTEM) for promotion in over
    }
    after = await load_versions(rig.conn)
    assert after.promotions == before.promotions + 1, "workers hold it no more"
    assert await violations(rig.conn) == {}


async def test_a_step_is_bounded_and_follows_itself_up(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep_promotions, "STEP_ENDS", 2)
    monkeypatch.setattr(sweep_promotions, "STEP_COMPARES", 3)
    for _ in range(5):
        await write_promotion(rig.conn, ends_at=ago(1))
        await write_promotion(rig.conn, uses_max=9)
    results = await sweep(rig)
    assert [result["ended"] for result in results] == [2, 2, 1]
    assert [result["more"] for result in results] == [True, True, False]
    assert await rig.conn.fetchval("SELECT count(*) FROM promotions WHERE state = 'ended'") == 5


async def test_one_that_somebody_has_in_hand_is_left_to_the_next_sweep(rig: Rig):
    held, free = [await write_promotion(rig.conn, ends_at=ago(1)) for _ in range(2)]
    async with rig.pool.acquire() as other:
        await other.execute("BEGIN")
        await other.execute("SELECT count(*) FROM (SELECT FROM promotions WHERE id = $1 FOR UPDATE) AS l", held.id)
        assert [result["ended"] for result in await sweep(rig)] == [1]
        await other.execute("ROLLBACK")
    assert await rig.conn.fetchval("SELECT state FROM promotions WHERE id = $1", free.id) == "ended"
    assert [result["ended"] for result in await sweep(rig)] == [1]


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes to Sentry."""
    raised: list[str] = []
    monkeypatch.setattr(telemetry, "report", lambda error, job="", **_: raised.append(f"{job}: {error!r}"))
    return raised


async def test_counters_that_say_what_was_redeemed_raise_no_alarm(rig: Rig, alarms: list[str]):
    offers = await write_offers(rig.conn, units=100)
    await write_promotion(rig.conn, automatic=True, uses_max=9, uses_per_user_max=2)
    await submit(rig.conn, *[place(*offers) for _ in range(4)])
    await rig.drain(rig.runner(place_orders))
    assert await rig.conn.fetchval("SELECT used FROM promotion_uses WHERE user_id = $1", ALL_USERS) == 4
    assert await sweep(rig) == [{"ended": 0, "differing": [], "more": False}]
    assert alarms == []


@pytest.mark.parametrize(
    ("statement", "figures"),
    [
        (f"UPDATE promotion_uses SET used = 7 WHERE user_id = '{ALL_USERS}'", (7, 4, 4, 4)),
        (f"DELETE FROM promotion_uses WHERE user_id <> '{ALL_USERS}'", (4, 4, 0, 4)),
        ("DELETE FROM redemptions", (4, 0, 4, 0)),
        ("UPDATE redemptions SET returned_at = now()", (4, 0, 4, 0)),
    ],
)
async def test_counters_that_are_wrong_raise_an_alarm_with_the_figures(
    rig: Rig, alarms: list[str], statement: str, figures: tuple[int, ...]
):
    offers = await write_offers(rig.conn, units=100)
    promotion = await write_promotion(rig.conn, automatic=True, uses_max=9, uses_per_user_max=2)
    await submit(rig.conn, *[place(*offers) for _ in range(4)])
    await rig.drain(rig.runner(place_orders))
    await rig.conn.execute(statement)
    (result,) = await sweep(rig)
    names = ("counted", "redeemed", "counted_of_users", "redeemed_of_users")
    expected = {"promotion_id": str(promotion.id)} | dict(zip(names, figures, strict=True))
    assert result["differing"] == [expected]
    assert len(alarms) == 1
    assert alarms[0].startswith("sweep_promotions: UsesDifferError")
    assert str(promotion.id) in alarms[0]
