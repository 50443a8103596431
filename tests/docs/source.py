"""The repository as text: which files are ours, what they define, what the pages say."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("api", "domain", "infra", "jobs", "ops", "workers")
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Our Python files, relative to the repository; those of all packages and the tests unless folders are named."""
    found = [path for folder in folders or (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(path.relative_to(ROOT) for path in found))


@cache
def text_of(path: Path) -> str:
    return (ROOT / path).read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def functions_of(path: Path) -> Iterator[FUNCTIONS]:
    return (node for node in nodes_of(path) if isinstance(node, FUNCTIONS))


def imports_of(path: Path) -> Iterator[str]:
    """The modules a file imports anywhere, by their full names."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@cache
def pages() -> tuple[Path, ...]:
    """The pages people read."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return tuple(sorted(path.relative_to(ROOT) for path in found))


def section_of(page: Path, title: str) -> str | None:
    """The text under a heading, up to the next heading; None without it."""
    lines = text_of(page).splitlines()
    starts = [n for n, line in enumerate(lines) if re.fullmatch(rf"#+ {re.escape(title)}", line)]
    if not starts:
        return None
    rest = lines[starts[0] + 1 :]
    end = next((n for n, line in enumerate(rest) if re.match("#+ ", line)), len(rest))
    return "\n".join(rest[:end])


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a text, each as rows of cells, its head first."""
    found: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            if line.strip("|:- "):
                found[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        before = line
    return found


def table_rows(text: str) -> list[list[str]]:
    """The rows of all tables of a text, without their heads."""
    return [row for table in tables(text) for row in table[1:]]


def defined(noun: str) -> list[str]:
    """What stands first in the rows of all tables, over all pages, whose first column is headed by this noun."""
    named = (table for page in pages() for table in tables(text_of(page)) if table[0][0] == noun)
    return [row[0].strip("`") for table in named for row in table[1:]]
