"""How a migration of ours runs: statements in SQL, in the transaction that ``infra.migrate`` holds."""

from collections.abc import Callable, Sequence

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder


def in_sql(migration_id: str, description: str, statements: Callable[[], Sequence[str]]) -> MigrationManager:
    """A migration of SQL statements: Piccolo can't say partitions, composite keys, partial indexes or triggers."""
    manager = MigrationManager(migration_id=migration_id, app_name="ordermill", description=description)

    async def make() -> None:
        engine = engine_finder()
        transaction = engine.current_transaction.get() if engine is not None else None
        if transaction is None:
            raise RuntimeError("this migration runs inside infra.migrate's transaction")
        for statement in statements():
            # The driver's own execute: Piccolo's raw() takes one statement and reads braces as placeholders.
            await transaction.connection.execute(statement)

    manager.add_raw(make)
    return manager
