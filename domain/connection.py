"""What a statement needs of a database connection.

The hot path takes ``conn`` as its first argument everywhere; this protocol says which of asyncpg's
methods it may use, without the domain importing a driver.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

Row = Mapping[str, Any]


class Connection(Protocol):
    """The part of ``asyncpg.Connection`` that statements are written against."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement; without arguments it may hold several, separated by semicolons."""
        ...

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Run a query and return its rows."""
        ...

    async def fetchrow(self, query: str, *args: object) -> Any | None:
        """Run a query and return its first row, or None."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:
        """Run a query and return the first column of its first row, or None."""
        ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str:
        """Append records with the binary COPY protocol."""
        ...
