"""Stock as people keep it."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import inventory
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T20:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "stock as people keep it"


async def forwards() -> MigrationManager:
    """Add the columns, tables and indexes."""
    return in_sql(ID, DESCRIPTION, inventory.statements)
