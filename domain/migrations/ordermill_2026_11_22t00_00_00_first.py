"""The first schema: journal, catalog, inventory, orders."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import first
from domain.migrations.sql.running import in_sql

ID = "2026-11-22T00:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "journal, catalog, inventory, orders"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, first.statements)
