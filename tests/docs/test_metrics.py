"""docs/operations and the runbook: the metrics there are and no others, and for each alert what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from domain.journal.model import Lane
from domain.operation.health import OLDEST_SECONDS_MAX
from domain.rejections import Code
from infra.metrics import METRICS
from jobs import load
from ops.cli import Commands
from tests.docs.source import ROOT, table_rows, text_of

OPERATIONS = Path("docs/operations")
RUNBOOK = Path("docs/runbook.md")
PROMTOOL = shutil.which("promtool")
OTHERS = {"process_cpu_seconds_total"}
SEVERITIES = {"critical", "warning"}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(text_of(OPERATIONS / "alerts.yml"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(text_of(OPERATIONS / "dashboard.json"))["panels"]
    return found


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    return [*(rule["expr"] for rule in rules()), *asked]


def metric_of(name: str) -> str:
    """The metric of a series: a histogram has several."""
    plain = re.sub(r"_(bucket|sum|count)$", "", name)
    return plain if plain in METRICS and METRICS[plain].kind == "histogram" else name


def test_every_metric_is_described_as_it_is():
    rows = [row for row in table_rows(text_of(OPERATIONS / "metrics.md")) if row[0].startswith("`ordermill_")]
    assert {row[0].strip("`"): tuple(row[1:]) for row in rows} == {
        name: (
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.says,
        )
        for name, metric in METRICS.items()
    }
    assert len(rows) == len(METRICS)


@pytest.mark.parametrize("expression", expressions())
def test_alerts_and_dashboard_ask_for_metrics_there_are_by_labels_they_have(expression: str):
    named = {metric_of(name) for name in re.findall(r"\b(?:ordermill|process)_\w+", expression)}
    assert named
    assert named <= {*METRICS, *OTHERS}
    labels = {label for name in named & set(METRICS) for label in METRICS[name].labels} | {"le", "instance"}
    grouped = {label.strip() for by in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in by.split(",")}
    assert grouped <= labels
    for series, matchers in re.findall(r"\b(ordermill_\w+)\{([^}]*)\}", expression):
        asked = set(re.findall(r"(\w+)(?:=~?|!=)\"", matchers))
        assert asked <= set(METRICS[metric_of(series)].labels)
    values = dict(re.findall(r"\b(job|lane|code)=\"(\w+)\"", expression))
    known = {"job": set(load()), "lane": {lane.value for lane in Lane}, "code": {code.value for code in Code}}
    assert all(value in known[label] for label, value in values.items())


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert():
    asked = " ".join(expressions())
    unseen = {name for name in METRICS if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", asked)}
    assert unseen == set()


def test_every_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on():
    for rule in rules():
        assert re.fullmatch(r"Ordermill([A-Z][a-z]+)+", rule["alert"])
        assert rule["labels"]["severity"] in SEVERITIES
        assert rule["annotations"]["summary"].endswith((".", "?"))
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}"
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)\n", text_of(RUNBOOK), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_runbook_has_a_section_for_each_alert_in_their_order_and_no_other():
    assert list(sections()) == [rule["alert"] for rule in rules()]
    for rule in rules():
        text = sections()[rule["alert"]]
        assert text.lstrip().startswith(f"*{rule['labels']['severity']}.* {rule['annotations']['summary']}")
        assert [part for part in ("**Means.**", "**Look.**", "**Do.**") if part not in text] == []


def test_the_runbook_names_alerts_commands_jobs_and_metrics_there_are():
    text = text_of(RUNBOOK).replace("\n", " ")
    short = {rule["alert"].removeprefix("Ordermill") for rule in rules()}
    named = set(re.findall(r"(?:[Ss]ee|fail:|;|and) ([A-Z][a-z]+(?:[A-Z][a-z]+)+)\b", text))
    assert named <= short | {"PostgreSQL"}
    commands = Commands().list_commands(None)  # type: ignore[arg-type]
    for command in re.findall(r"`ordermill ([a-z-]+)", text):
        assert command in commands
    assert set(re.findall(r"ordermill sweep (\w+)", text)) <= set(load())
    assert {metric_of(name) for name in re.findall(r"\bordermill_\w+", text)} <= set(METRICS)


def test_an_alert_and_the_status_call_the_same_age_too_old():
    (rule,) = [rule for rule in rules() if rule["alert"] == "OrdermillCommandsWait"]
    assert f"> {OLDEST_SECONDS_MAX:g} " in rule["expr"]


def test_panels_of_the_dashboard_stand_side_by_side():
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_each_alert_has_a_test_that_has_it_fire_and_one_that_keeps_it_quiet():
    tests = yaml.safe_load(text_of(OPERATIONS / "alerts-test.yml"))["tests"]
    asked = [each for test in tests for each in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {each["alertname"] for each in asked if each["exp_alerts"]} == names
    assert {each["alertname"] for each in asked if not each["exp_alerts"]} == names


@pytest.mark.skipif(PROMTOOL is None, reason="Debian's package prometheus isn't installed")
@pytest.mark.parametrize("check", ["check rules alerts.yml", "test rules alerts-test.yml"])
def test_prometheus_itself_takes_the_rules(check: str):
    done = subprocess.run(
        [str(PROMTOOL), *check.split()], cwd=ROOT / OPERATIONS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
