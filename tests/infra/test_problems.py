"""Every code that clients branch on stands in docs/problems.md, with the statuses it comes with."""

import ast
import re
from pathlib import Path

from domain.rejections import Code, title_of

ROOT = Path(__file__).parents[2]


def documented() -> dict[str, tuple[set[int], str, str]]:
    rows: dict[str, tuple[set[int], str, str]] = {}
    for text in (ROOT / "docs" / "problems.md").read_text().splitlines():
        cells = [cell.strip() for cell in text.split("|")[1:-1]]
        if cells and re.fullmatch(r"`[a-z_]+`", cells[0]):
            statuses = {int(status) for status in cells[1].split(",")}
            assert cells[0].strip("`") not in rows, text
            rows[cells[0].strip("`")] = (statuses, cells[2], cells[3])
    return rows


def used() -> dict[str, set[int]]:
    """The statuses each code is refused with: what stands before ``Code.X`` in calls of refuse and Rejection."""
    found: dict[str, set[int]] = {}
    for folder in ("api", "domain", "jobs"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or len(node.args) < 2:
                    continue
                status, code = node.args[:2]
                if isinstance(code, ast.Attribute) and ast.unparse(code.value) == "Code":
                    numbers = {n.value for n in ast.walk(status) if isinstance(n, ast.Constant)}
                    found.setdefault(Code[code.attr].value, set()).update(n for n in numbers if isinstance(n, int))
    return found


def test_every_code_is_documented():
    rows = documented()
    assert set(rows) == {code.value for code in Code}
    for code, (statuses, meaning, advice) in rows.items():
        assert statuses, code
        assert all(400 <= status <= 599 for status in statuses), code
        assert meaning.endswith("."), code
        assert advice.endswith("."), code
        assert title_of(code)[0].isupper()


def test_codes_are_used_with_the_statuses_that_are_documented():
    rows = documented()
    in_use = used()
    assert len(in_use) > 15
    assert {code: statuses - rows[code][0] for code, statuses in in_use.items() if statuses - rows[code][0]} == {}
