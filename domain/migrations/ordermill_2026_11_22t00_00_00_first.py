"""The first schema: journal, catalog, inventory, orders."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

from domain.migrations.sql import first

ID = "2026-11-22T00:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "journal, catalog, inventory, orders"


async def forwards() -> MigrationManager:
    """Make the tables in SQL: Piccolo can't say partitions, composite keys, partial indexes or triggers."""
    manager = MigrationManager(migration_id=ID, app_name="ordermill", description=DESCRIPTION)

    async def make() -> None:
        engine = engine_finder()
        transaction = engine.current_transaction.get() if engine is not None else None
        if transaction is None:
            raise RuntimeError("this migration runs inside infra.migrate's transaction")
        for statement in first.statements():
            # The driver's own execute: Piccolo's raw() takes one statement and reads braces as placeholders.
            await transaction.connection.execute(statement)

    manager.add_raw(make)
    return manager
