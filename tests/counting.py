"""What metrics say: of this process, and of one that is asked over HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from infra import metrics

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def value(name: str, **labels: str) -> float:
    """A series of this process; 0 where nothing has been counted."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def counting(name: str, **labels: str) -> Callable[[], float]:
    """How much a series of this process has grown since."""
    before = value(name, **labels)
    return lambda: value(name, **labels) - before


def series(text: str) -> Series:
    """All series of an answer, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Series, name: str, **labels: str) -> float | None:
    """One of them; None where there is none."""
    return found.get((name, frozenset(labels.items())))


def scrape(http: Any = httpx, url: str = "/metrics") -> Series:
    """Ask a process, as Prometheus does."""
    answer = http.get(url)
    assert answer.status_code == 200, answer.text
    return series(answer.text)
