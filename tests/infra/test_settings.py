"""Settings: a process that boots has good ones; another ends with one line that names the bad one."""

import os
import re
import subprocess
import sys
import typing
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from domain.journal.model import Lane
from infra import postgres
from infra.gateways.registry import gateways_of
from infra.settings import SettingError, Settings, read
from tests.builders import SECRET_KEY

ROOT = Path(__file__).parents[2]
GOOD = {
    "DATABASE_URL": "postgresql://somebody:the-password@127.0.0.1:1/nowhere",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": SECRET_KEY,
}
PROCESSES = ("api", "workers", "workers.scheduler")
SECRETS = ("the-password", SECRET_KEY, "short-secret", "mysql://me:other-password@host/db")
BAD = {
    "no database": ("DATABASE_URL", None),
    "no Redis": ("REDIS_URL", None),
    "no key": ("SECRET_KEY", None),
    "an empty key": ("SECRET_KEY", ""),
    "a short key": ("SECRET_KEY", "short-secret"),
    "another database": ("DATABASE_URL", "mysql://me:other-password@host/db"),
    "another broker": ("REDIS_URL", "amqp://host"),
    "a port that is none": ("HTTP_PORT", "70000"),
    "a number that is none": ("API_CONNECTIONS_MAX", "many"),
    "a number too small": ("API_CONNECTIONS_MAX", "1"),
    "a count of nothing": ("BACKLOG_MAX", "0"),
    "not a number of seconds": ("WORKER_SILENCE_SECONDS", "nan"),
    "endless seconds": ("EXPIRY_SWEEP_SECONDS", "inf"),
    "an unknown level": ("LOG_LEVEL", "loud"),
    "an unknown pooler": ("DATABASE_POOLER", "session"),
    "an unknown lane": ("LANES", "orders,express"),
    "a lane in two lines": ("LANES", "orders,ex\npress"),
    "no lane": ("LANES", " , "),
    "a page beyond the largest": ("PAGE_SIZE", "201"),
    "a key beyond the longest life": ("API_KEY_DAYS", "367"),
    "a short key of encryption": ("ENCRYPTION_KEYS", f"{'k' * 32},short-secret"),
    "an empty key of encryption": ("ENCRYPTION_KEYS", f"{'k' * 32},"),
    "a short secret of the sandbox": ("SANDBOX_WEBHOOK_SECRET", "short"),
    "a secret of the sandbox that is no base64": ("SANDBOX_WEBHOOK_SECRET", "whsec_A"),
    "nowhere to send webhooks": ("SANDBOX_WEBHOOK_URL", "127.0.0.1:8000"),
    "a key that is not Stripe's": ("STRIPE_SECRET_KEY", "pk_live_other-password"),
    "a secret of webhooks that is not Stripe's": ("STRIPE_WEBHOOK_SECRET", "short-secret"),
    "a breaker that never closes": ("BREAKER_SECONDS", "0"),
    "a hold beyond the longest": ("RESERVATION_SECONDS", "86400"),
}


def environment(name: str, value: str | None) -> dict[str, str]:
    return {**GOOD, "RESERVATION_SECONDS_MAX": "3600", **({} if value is None else {name: value})} | (
        {} if value is not None else {name: ""}
    )


@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD.keys())
def test_a_bad_setting_is_named_and_not_shown(name: str, value: str | None):
    with pytest.raises(SettingError) as caught:
        read(environment(name, value))
    assert str(caught.value).startswith(name)
    assert [secret for secret in SECRETS if secret in str(caught.value)] == []


def boot(module: str, **changes: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    env = {**known, **GOOD, "PYTHONPATH": str(ROOT), **changes}
    return subprocess.run(
        [sys.executable, "-m", module], env=env, text=True, capture_output=True, timeout=30, check=False
    )


def assert_one_line(ended: subprocess.CompletedProcess[str], name: str) -> None:
    assert ended.returncode == 78
    assert ended.stdout == ""
    (said,) = ended.stderr.splitlines()
    assert said.startswith(f"ordermill: {name}")
    assert [secret for secret in SECRETS if secret in said] == []


@pytest.mark.parametrize("module", PROCESSES)
def test_each_process_ends_with_one_line_that_names_the_setting(module: str):
    assert_one_line(boot(module, SECRET_KEY="short-secret"), "SECRET_KEY")


def test_a_file_of_signing_keys_that_will_not_do_ends_the_api(tmp_path: Path):
    file = tmp_path / "keys.json"
    assert_one_line(boot("api", SIGNING_KEYS_FILE=str(file)), "SIGNING_KEYS_FILE")
    file.write_text('{"keys": []}')
    assert_one_line(boot("api", SIGNING_KEYS_FILE=str(file)), "SIGNING_KEYS_FILE")


def test_a_value_of_several_lines_is_still_one_line():
    assert_one_line(boot("workers", LANES="orders,ex\npress"), "LANES")


def test_more_connections_than_postgresql_allows_are_refused_at_boot(database_url: str):
    ended = boot("api", DATABASE_URL=database_url, API_CONNECTIONS_MAX="1000")
    assert_one_line(ended, "API_CONNECTIONS_MAX")
    assert "1022 connections" in ended.stderr


def test_a_database_that_is_not_there_is_refused_at_boot(database_url: str):
    assert_one_line(boot("api", DATABASE_URL=re.sub("/test_[^?]+", "/nowhere", database_url)), "DATABASE_URL")


@pytest.mark.anyio
async def test_behind_a_pooler_its_own_limits_rule():
    # Nothing listens there: that it isn't asked is the point.
    await postgres.check_connections(read({**GOOD, "DATABASE_POOLER": "transaction", "API_CONNECTIONS_MAX": "1000"}))
    with pytest.raises(OSError, match=r"connect|refused|failed"):
        await postgres.check_connections(read({**GOOD, "API_CONNECTIONS_MAX": "1000"}))


def test_stripe_needs_the_secret_of_its_webhooks_and_where_buyers_come_back_to():
    with_key = {**GOOD, "STRIPE_SECRET_KEY": "sk_test_1"}
    with pytest.raises(SettingError, match="STRIPE_WEBHOOK_SECRET is not set"):
        read(with_key)
    with pytest.raises(SettingError, match="PUBLIC_URL is not set"):
        read({**with_key, "STRIPE_WEBHOOK_SECRET": "whsec_1"})
    whole = read({**with_key, "STRIPE_WEBHOOK_SECRET": "whsec_1", "PUBLIC_URL": "https://shop.example"})
    assert set(gateways_of(whole)) == {"stripe"}


def test_there_is_no_sandbox_unless_it_has_a_secret():
    assert gateways_of(read(GOOD)) == {}
    assert set(gateways_of(read({**GOOD, "SANDBOX_WEBHOOK_SECRET": "a secret of it"}))) == {"sandbox"}


@pytest.mark.anyio
async def test_the_sandboxs_connections_count_among_those_that_postgresql_has_to_allow(database_url: str):
    given = {**GOOD, "DATABASE_URL": database_url, "API_CONNECTIONS_MAX": "173"}
    await postgres.check_connections(read(given))
    with pytest.raises(SettingError, match="8 of the sandbox"):
        await postgres.check_connections(read({**given, "SANDBOX_WEBHOOK_SECRET": "a secret of it"}))


def test_an_empty_variable_counts_as_one_that_is_not_set():
    assert read({**GOOD, "HTTP_PORT": "", "LANES": ""}) == read(GOOD)


def test_lanes_are_read_in_their_order_each_once():
    config = read({**GOOD, "LANES": " io, orders,io ,"})
    assert config.worker_lanes() == (Lane.IO, Lane.ORDERS)
    assert set(read(GOOD).worker_lanes()) == set(Lane)


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        read(GOOD).http_port = 1  # type: ignore[misc]


def test_the_limits_of_decisions_are_the_settings():
    given = {"LINE_QUANTITY_MAX": "7", "RESERVATION_SECONDS": "60", "JOURNAL_DAYS": "9", "ORDER_LINES_MAX": "3"}
    limits = read({**GOOD, **given}).limits()
    assert (limits.line_quantity_max, limits.reservation_seconds) == (7, 60)
    assert (limits.journal_days, limits.order_lines_max) == (9, 3)
    assert {f.name: f.default for f in msgspec.structs.fields(type(limits))} == msgspec.structs.asdict(
        read(GOOD).limits()
    )


def documented() -> dict[str, list[str]]:
    """The rows of docs/settings.md by name: default, bounds, meaning, reader."""
    rows: dict[str, list[str]] = {}
    for text in (ROOT / "docs" / "settings.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", text)[1:-1]]
        if cells and re.fullmatch(r"`[A-Z_]+`", cells[0]):
            assert cells[0].strip("`") not in rows, text
            rows[cells[0].strip("`")] = cells[1:]
    return rows


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _bounds(kind: typing.Any) -> set[str]:
    """What the page must say of a type's bounds."""
    if typing.get_origin(kind) is typing.Literal:
        return set(typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {each.value for each in kind}
    found = set()
    for meta in kind.__metadata__:
        limits = (meta.ge, meta.gt, meta.le, meta.min_length, meta.max_length)
        found |= {_number(limit) for limit in limits if limit is not None}
    return found


def test_every_setting_is_documented_with_default_bounds_meaning_and_reader():
    rows = documented()
    fields = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    assert set(rows) == set(fields)
    hints = typing.get_type_hints(Settings, include_extras=True)
    for name, (default, bounds, meaning, reader) in rows.items():
        field = fields[name]
        expected = "must be set" if field.required else "empty" if field.default == "" else f"`{field.default}`"
        assert default == expected, name
        assert _bounds(hints[field.name]) <= set(re.split(r"[\s|\\]+", bounds)), (name, bounds)
        assert meaning.endswith("."), name
        assert reader, name
