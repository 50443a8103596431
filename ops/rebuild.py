"""Making a read model anew from events, and comparing it with the one in use.

Invariant: no transaction is long, and none holds the subscription for longer than a piece. Each piece of rows is
compared where both tables have read as far; so what differs, differs, however the one in use goes on meanwhile.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from domain.insights import rebuild_sql
from domain.insights.rebuild_sql import DIFFERENCES_MAX, Difference, Piece
from domain.insights.sql import Projection
from domain.journal.events import EventCursor
from infra import postgres
from ops.output import CommandError

EVENTS_MAX = 5_000
ROWS_MAX = 20_000
SHOWN_MAX = 20


class Rebuilt(Struct, frozen=True):
    """What a rebuild came to: how many rows were compared, how many differ, some of them, whether it was swapped in."""

    projection: str
    rows: int
    differing: int
    sample: list[Difference]
    swapped: bool


class Rebuild:
    """One run; ``told`` hears how far it has come, from 0 to 1."""

    def __init__(self, conn: Any, projection: Projection, told: Callable[[float], None]) -> None:
        self._conn = conn
        self._projection = projection
        self._told = told

    async def run(self, *, swap: bool) -> Rebuilt:
        """Make it, compare it, and swap it in if asked to; else it goes, unless it differs."""
        conn, projection = self._conn, self._projection
        async with postgres.transaction(conn):
            place = await rebuild_sql.begin(conn, projection)
        place = await self._catch_up(place)
        rows = differing = 0
        sample: list[Difference] = []
        last: tuple[Any, ...] | None = None
        while True:
            piece, place = await self._compare(place, last)
            rows, differing = rows + piece.rows, differing + piece.differing
            sample = (sample + piece.sample)[:DIFFERENCES_MAX]
            last = piece.last
            if last is None:
                break
        if swap:
            await self._swap(place)
        elif not differing:
            async with postgres.transaction(conn):
                await rebuild_sql.drop(conn, projection)
        return Rebuilt(projection.table, rows, differing, sample[:SHOWN_MAX], swap)

    async def _catch_up(self, place: EventCursor) -> EventCursor:
        """Read on until the new table is about as far as the one in use."""
        while True:
            async with postgres.transaction(self._conn):
                until = await rebuild_sql.place_in_use(self._conn, self._projection)
                if until is None:
                    raise CommandError(f"{self._projection.table} has never been kept: no worker serves the lane io")
                reached = await rebuild_sql.advance(self._conn, self._projection, place, until, EVENTS_MAX)
            # Places are transactions' numbers: how many events lie between two of them nobody counts.
            self._told(reached.xid / until.xid if until.xid else 1.0)
            if reached >= until:
                return reached
            place = reached

    async def _compare(self, place: EventCursor, after: tuple[Any, ...] | None) -> tuple[Piece, EventCursor]:
        while True:
            async with postgres.transaction(self._conn):
                until = await rebuild_sql.place_in_use(self._conn, self._projection, held=True)
                if until is not None:
                    place = await rebuild_sql.advance(self._conn, self._projection, place, until, EVENTS_MAX)
                if place == until:
                    return await rebuild_sql.compare(self._conn, self._projection, after, ROWS_MAX), place
            # The one in use went further meanwhile than one step reads.
            place = await self._catch_up(place)

    async def _swap(self, place: EventCursor) -> None:
        while True:
            async with postgres.transaction(self._conn):
                until = await rebuild_sql.place_in_use(self._conn, self._projection, held=True)
                if until is not None:
                    place = await rebuild_sql.advance(self._conn, self._projection, place, until, EVENTS_MAX)
                if place == until:
                    await rebuild_sql.swap(self._conn, self._projection)
                    return
            place = await self._catch_up(place)
