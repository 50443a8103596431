"""Runs on a stack of their own: the demo, the bench, the replay."""

from pathlib import Path

import pytest

from infra.settings import read
from ops.processes import Fleet
from ops.stack import Supervisor
from ops.temporary import DEFAULTS
from tests.infra.test_settings import GOOD


def test_no_run_reports_or_writes_to_whom_the_shell_is_set_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.example/1")
    monkeypatch.setenv("MAIL_URL", "smtp://me:secret@relay.example")
    monkeypatch.setenv("MAIL_FROM", "no-reply@shop.example")
    monkeypatch.setenv("PUBLIC_URL", "https://shop.example")
    config = read(Fleet(Supervisor(), logs=tmp_path, env={**GOOD, **DEFAULTS}).env)
    assert config.relay() is None
    assert config.sender().address == "ordermill@localhost"
    assert config.link_base() == "http://localhost:3000"
    assert config.sentry_dsn == ""
