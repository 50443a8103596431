"""Room beside rows that change often."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import room
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T23:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "room beside rows that change often"


async def forwards() -> MigrationManager:
    """Leave room on the pages of orders."""
    return in_sql(ID, DESCRIPTION, room.statements)
