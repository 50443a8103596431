"""The statements of read models that are made of events.

Invariant: a read model is written by its subscription alone, from events alone: what is made of all of them anew is the
same. Rows are added to in the order of their keys.
"""

from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from domain.connection import Connection
from domain.insights.sales import SALES_TYPES, Sales, SalesKey, sales_of
from domain.insights.stock_days import LIVES, PLACED, STOCK_TYPES, StockDay, StockDayKey, stock_days_of
from domain.journal.event_reads import load_streams
from domain.journal.events import StoredEvent

_KINDS = {"day": "date", "currency": "text", "location": "smallint"}


class Projection(Struct, frozen=True):
    """A read model: its table, the columns of its key and of its sums, the types of events it is made of.

    ``tally`` says what events add to it, as (key, sums) each.
    """

    table: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]
    types: frozenset[str]
    tally: Callable[[Connection, Sequence[StoredEvent]], Awaitable[Sequence[tuple[tuple[Any, ...], tuple[int, ...]]]]]

    def statement(self, table: str) -> str:
        """The statement that adds to a table of its shape."""
        columns = [*self.keys, *self.sums]
        kinds = [_KINDS.get(name, "uuid") for name in self.keys] + ["bigint"] * len(self.sums)
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(kinds, start=1))
        added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in self.sums)
        return (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"
            f" ON CONFLICT ({', '.join(self.keys)}) DO UPDATE SET {added}"
        )


async def add_events(
    conn: Connection, projection: Projection, events: Sequence[StoredEvent], table: str | None = None
) -> None:
    """Add what events come to to a read model, or to another table of its shape."""
    found = sorted(await projection.tally(conn, events), key=itemgetter(0))
    rows = [(*key, *sums) for key, sums in found if any(sums)]
    if rows:
        statement = projection.statement(table or projection.table)
        await conn.execute(statement, *(list(column) for column in zip(*rows, strict=True)))


async def _tally_sales(
    _conn: Connection, events: Sequence[StoredEvent]
) -> Sequence[tuple[tuple[Any, ...], tuple[int, ...]]]:
    return [(astuple(key), astuple(sales)) for key, sales in sales_of(events).items()]


async def _tally_stock(
    conn: Connection, events: Sequence[StoredEvent]
) -> Sequence[tuple[tuple[Any, ...], tuple[int, ...]]]:
    lives = sorted({event.stream for event in events if event.type in LIVES})
    histories = await load_streams(conn, lives, {PLACED, *LIVES}) if lives else {}
    return [(astuple(key), astuple(day)) for key, day in stock_days_of(events, histories).items()]


SELLER_SALES = Projection(
    "seller_sales", SalesKey.__struct_fields__, Sales.__struct_fields__, SALES_TYPES, _tally_sales
)
STOCK_HISTORY = Projection(
    "stock_history", StockDayKey.__struct_fields__, StockDay.__struct_fields__, STOCK_TYPES, _tally_stock
)
PROJECTIONS = {each.table: each for each in (SELLER_SALES, STOCK_HISTORY)}
ADD_SALES = SELLER_SALES.statement(SELLER_SALES.table)
ADD_STOCK_DAYS = STOCK_HISTORY.statement(STOCK_HISTORY.table)
