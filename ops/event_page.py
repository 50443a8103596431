"""The list of events as ``docs/events.md`` shows it: what each type's data holds, and who listens.

Invariant: the page is made of the Structs that are written and of what subscribes; a test compares the two, so neither
can change alone. A type's stream, and when it is written, are said in the page itself.
"""

import re
import types
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from msgspec import Raw, Struct

import jobs
from domain.event_types import EVENT_TYPES

PAGE = Path(__file__).parent.parent / "docs" / "events.md"
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ROW = re.compile(r"^\| `(?P<type>\w+\.\w+)` \| (?P<stream>[^|]*) \| (?P<when>[^|]*) \|.*$", re.MULTILINE)
_WORDS: dict[Any, str] = {
    UUID: "uuid",
    int: "integer",
    str: "text",
    bool: "boolean",
    float: "number",
    datetime: "time",
    date: "day",
    Raw: "JSON",
    Any: "JSON",
}
# What a route takes as it is; told in full where the route is described.
_WHOLE = {"content", "items", "attributes", "changes"}


def types_table(page: str) -> str:
    """The table of types, in the page's order, each with its data and its listeners."""
    lines = ["| type | stream | when | data | heard by |", "|---|---|---|---|---|"]
    listeners = _listeners()
    for row in _ROW.finditer(page):
        name = row["type"]
        if name in EVENT_TYPES:
            heard = ", ".join(f"`{each}`" for each in listeners.get(name, ()))
            lines.append(f"| `{name}` | {row['stream']} | {row['when']} | {_data(EVENT_TYPES[name])} | {heard} |")
    return "\n".join(lines) + "\n"


def parts_table() -> str:
    """What lists hold, by the name the table of types calls it."""
    lines = ["| part | fields |", "|---|---|"]
    parts: dict[str, type[Struct]] = {}
    for data in EVENT_TYPES.values():
        if not isinstance(data, Mapping):
            _collect(data, parts)
    lines += [f"| {name} | {_data(parts[name])} |" for name in sorted(parts)]
    return "\n".join(lines) + "\n"


def subscriptions_table() -> str:
    """Who listens, from where on, and to what."""
    lines = ["| subscription | begins | hears |", "|---|---|---|"]
    for name, each in sorted(jobs.load_subscriptions().items()):
        begins = "with what comes after it was first run" if each.from_now else "with the first event"
        heard = "everything" if each.types is None else ", ".join(f"`{kind}`" for kind in sorted(each.types))
        lines.append(f"| `{name}` | {begins} | {heard} |")
    return "\n".join(lines) + "\n"


def drawn(page: str) -> str:
    """The page with its tables as they have to be now."""
    made = {"types": types_table(page), "parts": parts_table(), "subscriptions": subscriptions_table()}
    return _BLOCK.sub(lambda block: f"{block[1]}{made[block[2]]}{block[3]}", page)


def _listeners() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, each in sorted(jobs.load_subscriptions().items()):
        for kind in each.types or EVENT_TYPES:
            found.setdefault(kind, []).append(name)
    return found


def _data(of: type[Struct] | Mapping[str, str]) -> str:
    fields = of if isinstance(of, Mapping) else {n: _words(n, kind) for n, kind in _hints(of).items()}
    return ", ".join(f"`{name}` {words}" for name, words in fields.items())


def _hints(of: type[Struct]) -> dict[str, Any]:
    hints = get_type_hints(of, include_extras=True)
    return {name: hints[name] for name in of.__struct_fields__}


def _words(name: str, kind: Any) -> str:
    """A field's type as the page says it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(name, inner[0])
    if origin in {Union, types.UnionType}:
        there = [each for each in inner if each is not type(None)]
        words = " or ".join(dict.fromkeys(_words(name, each) for each in there))
        return f"{words} or null" if len(there) < len(inner) else words
    if origin in {tuple, list, frozenset, set}:
        return f"list of {_words(name, inner[0])}"
    if isinstance(kind, type) and issubclass(kind, Struct):
        return "object" if name in _WHOLE else kind.__name__
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "text"
    return _WORDS.get(kind, "object")


def _collect(of: type[Struct], parts: dict[str, type[Struct]]) -> None:
    """Find the parts that a Struct's fields are made of."""
    for name, kind in _hints(of).items():
        for part in () if name in _WHOLE else _structs_in(kind):
            if parts.setdefault(part.__name__, part) is not part:
                raise ValueError(f"two parts of events are named {part.__name__}")
            _collect(part, parts)


def _structs_in(kind: Any) -> list[type[Struct]]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return [kind]
    return [found for inner in get_args(kind) for found in _structs_in(inner)]


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
