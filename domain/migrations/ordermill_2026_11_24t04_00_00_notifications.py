"""Who is told of what by mail, in which language, and what they don't want."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import notifications
from domain.migrations.sql.running import in_sql

ID = "2026-11-24T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "notifications"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, notifications.statements)
