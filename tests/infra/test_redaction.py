"""Nothing secret or personal reaches a log or a report, whoever says it and however."""

import subprocess
import sys

import msgspec
import pytest

from infra import redaction
from infra.redaction import masked, masked_path, of_report
from tests.infra import leaky_process
from tests.infra.leaky_process import SECRETS, SPOKEN
from tests.system import ROOT


@pytest.fixture(scope="module")
def said() -> str:
    """What a process writes that says everything in every way."""
    module = leaky_process.__name__
    argv = [sys.executable, "-m", module]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, "its last words are an exception nobody catches"
    assert done.stdout == ""
    return done.stderr


def test_no_logger_lets_anything_through(said: str):
    assert [secret for secret in SECRETS if secret in said] == []


def test_every_line_is_still_json_and_every_way_was_tried(said: str):
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in said.splitlines()]
    assert all({"event", "level", "at"} <= set(line) for line in lines)
    events = [str(line["event"]) for line in lines]
    for event in ("by_name", "by_another_name", "nested", "bound", "raised", "request"):
        assert event in events
    assert events.count("uncaught") == 2, "in a thread and in the main one"
    assert len([event for event in events if "it failed for" in event or event.startswith("said ")]) == 2
    assert len([event for event in events if "UserWarning" in event]) == 1
    assert len([event for event in events if "Task exception was never retrieved" in event]) == 1
    assert len([line for line in lines if "exception" in line]) >= 4


def test_what_an_operator_needs_stays(said: str):
    by_event = {str(line["event"]): line for line in map(msgspec.json.decode, said.splitlines())}
    assert "ValueError" in str(by_event["raised"]["exception"])
    assert "leaky_process.py" in str(by_event["raised"]["exception"])
    kept = {"job": "place_orders", "claimed": 200, "ms": 1.25, "correlations": ["a", "b"], "tokens": 3, "ok": True}
    assert redaction.processor(None, "", kept) == kept
    for text in (
        "0193b7a0-1111-7111-8111-111111111111",
        "order 1234567890123 of seller 9",
        "2026-11-23T15:43:15.123456+00:00",
        "KeyError('secret_key')",
        "connection to 127.0.0.1:5432 refused",
    ):
        assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "mail to Ann.Smith+tag@example.co.uk bounced",
        "Key (email_key)=(ann@example.org) already exists.",
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}ser@ex\N{LATIN SMALL LETTER A WITH DIAERESIS}mple.com",
        "/accounts/ann%40example.com",
        "4242424242424242",
        "4242-4242-4242-4242",
        "postgresql://ordermill:a-password@db/ordermill",
        "https://shop.example/reset?token=abc123&next=/",
        "Authorization: Bearer abcdefgh",
        "{'client_secret': 'abc'}",
        "whsec_c2FuZGJveC1zZWNyZXQtb2YtdGhlLXRlc3Rz",
        "sk_live_0123456789",
    ],
)
def test_it_is_masked_wherever_it_stands(text: str):
    assert redaction.MASK in masked(text)
    assert masked(masked(text)) == masked(text)
    assert not redaction.is_clean(text)


def test_a_path_is_shown_unless_somebody_put_something_into_it():
    for path in ("/", "/orders", "/orders/0193b7a0-1111-7111-8111-111111111111/payment", "/.well-known/jwks.json"):
        assert masked_path(path) == path
    assert "ann" not in masked_path("/accounts/ann@example.com")


def test_reports_lose_what_was_said_and_keep_where_it_happened():
    frame = {"filename": "jobs/place_orders.py", "lineno": 7, "function": "place_orders"}
    event = {
        "exception": {"values": [{"type": "ValueError", "value": SPOKEN, "stacktrace": {"frames": [frame]}}]},
        "logentry": {"message": SPOKEN},
        "tags": {"job": "place_orders"},
        "breadcrumbs": {"values": [{"message": SPOKEN, "data": {"email": "ann@example.com"}}]},
    }
    sent = str(of_report(event, {}))
    assert [secret for secret in SECRETS if secret in sent] == []
    assert (str(frame) in sent, "'job': 'place_orders'" in sent) == (True, True)
