"""The style of the house, where a machine can see it."""

import ast
import re

import pytest

from tests.docs.source import PACKAGES, functions_of, imports_of, python_files, text_of, tree_of

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

everything = pytest.mark.parametrize("path", python_files(), ids=str)
ours = pytest.mark.parametrize("path", python_files(*PACKAGES), ids=str)
domain = pytest.mark.parametrize("path", python_files("domain"), ids=str)


@everything
def test_a_file_has_at_most_400_lines(path):
    assert len(text_of(path).splitlines()) <= LINES_MAX


@everything
def test_a_function_has_at_most_70_lines(path):
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions_of(path)}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES_MAX} == {}


@everything
def test_no_name_says_nothing(path):
    words = {word for part in path.with_suffix("").parts for word in part.split("_")}
    classes = [node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    for name in classes:
        words |= {word.lower() for word in re.findall(r"[A-Z][a-z]*", name)}
    assert not words & EMPTY_NAMES


@ours
def test_a_module_says_what_it_is_about(path):
    text = text_of(path)
    assert not text or (ast.get_docstring(tree_of(path)) or "").strip()


@everything
def test_nothing_waits_by_sleeping(path):
    """``time.sleep`` blocks an event loop and makes tests slow and flaky; wait for what is awaited."""
    calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert "time.sleep" not in {ast.unparse(call.func) for call in calls}


@domain
def test_the_domain_imports_nothing_of_the_outside(path):
    if not DECLARES_TABLES.fullmatch(path.as_posix()):
        assert not {name.partition(".")[0] for name in imports_of(path)} & OUTSIDE


@domain
def test_the_domain_asks_no_clock_and_makes_no_ids(path):
    """Time and ids come in: a decision can be replayed, shuffled and property-tested."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            # What was handed in may be called.
            handed_in = ast.unparse(node.func).startswith("self.")
            assert handed_in or name not in CLOCKS | GENERATORS, f"line {node.lineno}: {ast.unparse(node)}"


@domain
def test_decisions_are_synchronous(path):
    """What can't wait can't interleave: a batch is decided in one go."""
    if STATEMENTS.fullmatch(path.as_posix()):
        return
    waiting = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]
    assert not waiting


@pytest.mark.parametrize("path", python_files("jobs"), ids=str)
def test_a_job_writes_no_sql_of_its_own(path):
    """Statements live in ``domain``, named, with the reason for their shape beside them."""
    strings = [n.value for n in ast.walk(tree_of(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert not [s for s in strings if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", s)]


@pytest.mark.parametrize("path", python_files("domain", "jobs"), ids=str)
def test_no_statement_is_sent_in_a_loop_over_commands(path):
    """A set of keys goes in one statement. DDL takes no set, and COPY takes one table at a time."""
    for loop in (n for n in ast.walk(tree_of(path)) if isinstance(n, ast.For)):
        sent = [
            ast.unparse(node)
            for statement in loop.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Await) and re.match(r"await (\w+\.)*conn\.", ast.unparse(node))
        ]
        allowed = path.as_posix() in {"domain/journal/partitions.py", "domain/invariants.py", "domain/writing.py"}
        assert allowed or "migrations" in path.parts or not sent
