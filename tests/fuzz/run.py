"""One run of Schemathesis: as whom, for how long, from which seed, and what it may know of the marketplace."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.fuzz.market import Market
from tests.system import ROOT

SECONDS = int(os.environ.get("FUZZ_SECONDS", "35"))
"""How long each role asks."""
SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
"""Where the requests come from: the same seed asks the same, of things with other ids."""
NOT_CHECKED = (
    # A body may fit its shape and be refused: for what it names, for when it comes, for how its fields go together.
    "positive_data_acceptance",
    # What was accepted may still be refused when its turn comes, such as an order: then it is a 404 that says so.
    "ensure_resource_availability",
    # What was deleted is gone, but for what tests/fuzz/checks.py knows to stay.
    "use_after_free",
)
VALUES = {
    "header.If-Match": ("*", '"1"', '"2"', 'W/"1"', '"1", "2"'),
    "body.gateway": ("sandbox",),
    "body.token": ("tok_ok", "tok_declined", "tok_action_required", "tok_timeout_after", "tok_late_webhook"),
    "header.Prefer": ("wait=0", "wait=0.5", "wait=2", "respond-async"),
}
"""What by chance alone is never sent."""
IDS = {
    "body.lines[*].variant_id": "variant_id",
    "body.lines[*].seller_id": "seller_id",
    "body.category_id": "category_id",
    "body.parent_id": "category_id",
    "body.refresh_token": "refresh_token",
    "query.category": "category_id",
    "query.seller": "seller_id",
    "query.rule": "rule_id",
    "query.order": "order_id",
    "body.offer.variant_id": "variant_id",
    "body.offer.seller_id": "seller_id",
    "body.facts.category_id": "category_id",
}
"""Where what there is stands besides in paths."""


def configuration(market: Market, role: str) -> str:
    """The settings of a run, as TOML; every value of ours is one that JSON writes alike."""
    values: dict[str, Sequence[str]] = dict(VALUES)
    values |= {f"path.{name}": sorted(ids) for name, ids in market.ids.items()}
    values |= {place: sorted(market.ids[name]) for place, name in IDS.items()}
    lines = [
        "max-stream-events = 3",
        "request-timeout = 20",
        # By itself it registers and logs in wherever it finds out how.
        f"auth.auto-signup = {_json(role == 'newcomer')}",
        f"headers = {_table(market.headers[role])}",
        *(f"dictionaries.{_json(place)}.values = {_json(given)}" for place, given in values.items()),
        *(f"parameters.{_json(p)} = {{ dictionary = {_json(p)}, probability = 0.8 }}" for p in values),
    ]
    return "\n".join(lines) + "\n"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _table(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_json(name)} = {_json(value)}" for name, value in values.items()) + "}"


def fuzz(
    market: Market, role: str, folder: Path, *options: str, seed: int, described_in: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Ask for everything as somebody; what was found is on the output, with the requests that show it."""
    settings = folder / f"{role}.toml"
    settings.write_text(configuration(market, role), "utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"),
        str(described_in or f"{market.url}/schema"),
        *("--url", market.url, "--seed", str(seed), "--checks", "all", "--exclude-checks", ",".join(NOT_CHECKED)),
        *("--no-color", "--generation-database", "none", "--warnings", "off", *options),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.fuzz.checks"}
    return subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
