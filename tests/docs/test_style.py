"""The style of the house, where a machine can see it."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.docs.source import PACKAGES, functions_of, imports_of, nodes_of, python_files, text_of, tree_of

LINES_MAX = 400
FUNCTION_LINES_MAX = 70
EMPTY_NAMES = {"helper", "helpers", "util", "utils", "manager", "managers", "common", "base", "misc", "shared"}

OUTSIDE = {
    "asyncio", "asyncpg", "dramatiq", "httpx", "litestar", "os", "piccolo", "random", "redis", "secrets", "socket",
    "subprocess", "threading", "time",
}  # fmt: skip
# Piccolo is how tables are declared and migrations are run; these modules decide nothing.
DECLARES_TABLES = re.compile(r"domain/(migrations/.*|piccolo_app|\w+/tables)\.py")
# Statements take a connection and are awaited; everything else in the domain is a decision or a type.
STATEMENTS = re.compile(
    r"domain/(migrations/.*|invariants|connection|writing|\w+/(\w+_)?(sql|reads|rescue|partitions))\.py"
)
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "time", "time_ns", "monotonic", "perf_counter"}
GENERATORS = {"uuid1", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "getnode", "urandom", "new_id", "token_hex"}


def offenders(wrong: Callable[[Path], Any], *folders: str) -> dict[str, Any]:
    """What is wrong with which file, of all of them unless folders are named."""
    return {path.as_posix(): found for path in python_files(*folders) if (found := wrong(path))}


def test_a_file_has_at_most_400_lines():
    assert offenders(lambda path: max(0, len(text_of(path).splitlines()) - LINES_MAX)) == {}


def test_a_function_has_at_most_70_lines():
    def long(path: Path) -> dict[str, int]:
        lines = {function.name: function.end_lineno - function.lineno + 1 for function in functions_of(path)}
        return {name: count for name, count in lines.items() if count > FUNCTION_LINES_MAX}

    assert offenders(long) == {}


def test_no_name_says_nothing():
    def empty(path: Path) -> set[str]:
        words = {word for part in path.with_suffix("").parts for word in part.split("_")}
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                words |= {word.lower() for word in re.findall(r"[A-Z][a-z]*", node.name)}
        return words & EMPTY_NAMES

    assert offenders(empty) == {}


def test_a_module_says_what_it_is_about():
    def silent(path: Path) -> bool:
        return bool(text_of(path)) and not (ast.get_docstring(tree_of(path)) or "").strip()

    assert offenders(silent, *PACKAGES) == {}


def test_nothing_waits_by_sleeping():
    """``time.sleep`` blocks an event loop and makes tests slow and flaky; wait for what is awaited."""

    def sleeping(path: Path) -> list[int]:
        calls = [node for node in nodes_of(path) if isinstance(node, ast.Call)]
        return [call.lineno for call in calls if ast.unparse(call.func) == "time.sleep"]

    assert offenders(sleeping) == {}


def test_the_domain_imports_nothing_of_the_outside():
    def outside(path: Path) -> set[str]:
        if DECLARES_TABLES.fullmatch(path.as_posix()):
            return set()
        return {name.partition(".")[0] for name in imports_of(path)} & OUTSIDE

    assert offenders(outside, "domain") == {}


def test_the_domain_asks_no_clock_and_makes_no_ids():
    """Time and ids come in: a decision can be replayed, shuffled and property-tested."""

    def asking(path: Path) -> dict[int, str]:
        found = {}
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                # What was handed in may be called.
                if name in CLOCKS | GENERATORS and not ast.unparse(node.func).startswith("self."):
                    found[node.lineno] = ast.unparse(node)
        return found

    assert offenders(asking, "domain") == {}


def test_decisions_are_synchronous():
    """What can't wait can't interleave: a batch is decided in one go."""

    def waiting(path: Path) -> list[int]:
        if STATEMENTS.fullmatch(path.as_posix()):
            return []
        return [n.lineno for n in nodes_of(path) if isinstance(n, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]

    assert offenders(waiting, "domain") == {}


def test_a_job_writes_no_sql_of_its_own():
    """Statements live in ``domain``, named, with the reason for their shape beside them."""

    def written(path: Path) -> list[str]:
        strings = [n.value for n in nodes_of(path) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        return [s for s in strings if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", s)]

    assert offenders(written, "jobs") == {}


def test_no_statement_is_sent_in_a_loop_over_commands():
    """A set of keys goes in one statement. DDL takes no set, and COPY takes one table at a time."""

    def sent(path: Path) -> list[str]:
        if path.as_posix() in {"domain/journal/partitions.py", "domain/invariants.py", "domain/writing.py"}:
            return []
        if "migrations" in path.parts:
            return []
        return [
            ast.unparse(node)
            for loop in nodes_of(path)
            if isinstance(loop, ast.For)
            for statement in loop.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Await) and re.match(r"await (\w+\.)*conn\.", ast.unparse(node))
        ]

    assert offenders(sent, "domain", "jobs") == {}
