"""Writing new rows of several tables: one statement for a few, COPY for many.

Invariant: both ways write the same rows from the same records. An idle system answers one order at a time, and there
each round trip is felt; a busy one writes hundreds, and there COPY takes a sixth less of PostgreSQL
(docs/performance.md).
"""

from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection

ONE_STATEMENT_RECORDS_MAX = 100

Columns = tuple[tuple[str, str], ...]
"""(name, PostgreSQL type) of each column, in the order of the records' values."""


class Rows(Struct, frozen=True):
    """New rows of a table: records of values in the order of ``columns``."""

    table: str
    columns: Columns
    records: Sequence[tuple[object, ...]]


async def write(conn: Connection, *tables: Rows) -> None:
    """Insert rows; foreign keys among them are checked after all of them, in whatever order they come."""
    filled = [rows for rows in tables if rows.records]
    if not filled:
        return
    if sum(len(rows.records) for rows in filled) > ONE_STATEMENT_RECORDS_MAX:
        for rows in filled:
            names = [name for name, _ in rows.columns]
            await conn.copy_records_to_table(rows.table, records=rows.records, columns=names)
        return
    arguments: list[object] = []
    for rows in filled:
        for (_, kind), values in zip(rows.columns, zip(*rows.records, strict=True), strict=True):
            arguments.append([_literal(v) for v in values] if kind.endswith("[]") else list(values))
    await conn.execute(_statement(tuple((rows.table, rows.columns) for rows in filled)), *arguments)


def _literal(values: object) -> str:
    """Write an array of numbers or ids as PostgreSQL reads it: unnest() would take an array of arrays apart."""
    if not isinstance(values, list):
        raise TypeError(f"an array column takes a list, not {type(values).__name__}")
    return "{" + ",".join(str(value if isinstance(value, UUID) else int(value)) for value in values) + "}"


@lru_cache(maxsize=64)
def _statement(tables: tuple[tuple[str, Columns], ...]) -> str:
    parts: list[str] = []
    number = 0
    for table, columns in tables:
        names = ", ".join(name for name, _ in columns)
        values = ", ".join(f"t.{name}::{kind}" if kind.endswith("[]") else f"t.{name}" for name, kind in columns)
        kinds = ["text" if kind.endswith("[]") else kind for _, kind in columns]
        arrays = ", ".join(f"${number + n}::{kind}[]" for n, kind in enumerate(kinds, start=1))
        number += len(columns)
        parts.append(f"INSERT INTO {table} ({names}) SELECT {values} FROM unnest({arrays}) AS t ({names})")
    *first, last = parts
    named = ", ".join(f"part{n} AS ({part})" for n, part in enumerate(first))
    return f"WITH {named} {last}" if named else last
