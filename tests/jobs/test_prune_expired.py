"""What expires goes when its time is over, and not before."""

import pytest

from jobs import prune_expired
from tests.builders import submit
from tests.engine.parts import Rig
from tests.jobs.samples import SAMPLES

pytestmark = pytest.mark.anyio

LEFT = """
SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens), (SELECT count(*) FROM one_time_tokens),
       (SELECT count(*) FROM revocations), (SELECT count(*) FROM catalog_changes),
       (SELECT count(*) FROM carts)
"""


async def test_what_is_over_goes_and_what_is_needed_stays(rig: Rig):
    await submit(rig.conn, *await SAMPLES["prune_expired"](rig))
    await rig.drain(rig.runner(prune_expired.prune_expired))
    assert tuple(await rig.conn.fetchrow(LEFT)) == (2, 1, 1, 3, 1, 2)
    kept = "SELECT count(*) FROM revocations r JOIN accounts a ON a.id = r.subject WHERE a.status = 'suspended'"
    assert await rig.conn.fetchval(kept) == 1, "for as long as an account is suspended"


async def test_more_than_one_step_follows_itself_up(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prune_expired, "STEP_ROWS", 2)
    await rig.conn.execute(
        "INSERT INTO revocations (subject, epoch, at)"
        " SELECT gen_random_uuid(), 2, now() - interval '3 days' FROM generate_series(1, 9)"
    )
    await submit(rig.conn, *await SAMPLES["prune_expired"](rig))
    await rig.drain(rig.runner(prune_expired.prune_expired))
    assert tuple(await rig.conn.fetchrow(LEFT)) == (2, 1, 1, 3, 1, 2)
