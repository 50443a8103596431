"""``docs/rules.md``: every rule names the tests that show it, and those tests exist."""

import re
from functools import cache
from pathlib import Path

from tests.docs.source import ROOT, functions_of, python_files, table_rows, text_of

PAGE = Path("docs/rules.md")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def _tests() -> dict[str, set[str]]:
    return {
        path.as_posix(): {function.name for function in functions_of(path) if function.name.startswith("test_")}
        for path in python_files("tests")
    }


def _rules() -> list[list[str]]:
    return table_rows(text_of(PAGE))


def test_the_page_has_its_rules():
    assert len(_rules()) > 40


def _wrong(cells: list[str]) -> str | None:
    """What is wrong with a row."""
    if len(cells) != 2:
        return "a row is a rule and its tests"
    rule, named = cells
    if not rule.endswith("."):
        return "a rule is a sentence"
    tests = NAMED.findall(named)
    if not tests:
        return "a rule has at least one test"
    if NAMED.sub("", named).strip(" ,"):
        return "the second cell holds tests only"
    missing = [f"{file}::{name}" for file, name in tests if name not in _tests().get(file, set())]
    return f"no such test: {missing}" if missing else None


def test_a_rule_names_tests_that_exist():
    assert {cells[0]: wrong for cells in _rules() if (wrong := _wrong(cells))} == {}


def test_no_rule_stands_twice():
    rules = [cells[0] for cells in _rules()]
    assert len(rules) == len(set(rules))


def test_a_test_named_anywhere_in_the_pages_exists():
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        for file, name in NAMED.findall(page.read_text("utf-8")):
            assert name in _tests().get(file, set()), f"{page.name}: {file}::{name}"
