"""``make fuzz`` in a few seconds, so that it keeps running, and what it is blind to shows."""

from pathlib import Path
from typing import Any

import msgspec

from tests.fuzz.market import Market
from tests.fuzz.run import fuzz


def test_a_few_requests_to_every_route_are_answered_as_described(market: Market, tmp_path: Path):
    done = fuzz(market, "seller", tmp_path, "--phases", "fuzzing", "--max-examples", "1", seed=1)
    assert done.returncode == 0, done.stdout


def test_an_answer_off_its_description_is_found(market: Market, tmp_path: Path):
    described: dict[str, Any] = market.shop.http.get("/schema").json()
    profile = described["components"]["schemas"]["AccountView"]
    del profile["properties"]["verified"]
    profile["required"].remove("verified")
    elsewhere = tmp_path / "described.json"
    elsewhere.write_bytes(msgspec.json.encode(described))
    options = ("--phases", "fuzzing", "--max-examples", "1", "--include-operation-id", "get_profile")
    done = fuzz(market, "buyer", tmp_path, *options, seed=1, described_in=elsewhere)
    assert done.returncode == 1, done.stdout
    assert "verified" in done.stdout
