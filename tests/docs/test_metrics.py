"""docs/operations holds the metrics there are, and asks for no others."""

from pathlib import Path

from infra.metrics import METRICS
from tests.docs.source import table_rows, text_of

OPERATIONS = Path("docs/operations")


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
