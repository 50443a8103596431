"""``make fuzz``: everything that ``/schema`` describes, asked for as everybody.

No answer is a 5xx, has a status, a media type, a header field or a shape that isn't described, or refuses with anything
but a problem of ours. Nothing that was accepted fails to run, and the data holds to the end.
"""

import re
import sys
from pathlib import Path

import asyncpg
import pytest

from domain.invariants import INVARIANTS, run_check
from domain.journal.model import Lane
from tests.fuzz.market import ROLES, Market
from tests.fuzz.run import SECONDS, SEED, fuzz

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(SECONDS + 120)]


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_as_described(market: Market, tmp_path: Path, role: str):
    done = fuzz(market, role, tmp_path, "--max-time", str(SECONDS), seed=SEED)
    sys.stdout.write("".join(re.findall(r"^ +\d+ generated, .*$", done.stdout, re.MULTILINE)))
    assert done.returncode == 0, f"{done.stdout}\nFUZZ_SEED={SEED} FUZZ_SECONDS={SECONDS} make fuzz asks the same again"


def test_nothing_that_was_accepted_failed_to_run(market: Market):
    for lane in Lane:
        market.shop.resume(lane.value)
    market.shop.settle()
    assert market.shop.fetch("SELECT job, error FROM parked") == []
    assert "Traceback" not in market.shop.system.log("worker")


@pytest.mark.anyio
async def test_the_data_holds(market: Market):
    conn = await asyncpg.connect(market.shop.database_url)
    try:
        checks = [await run_check(conn, name) for name in INVARIANTS]
    finally:
        await conn.close()
    assert [check for check in checks if check.violations] == []
