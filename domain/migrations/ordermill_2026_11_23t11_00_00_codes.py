"""What commands have made of promotions' codes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import codes
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T11:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "what commands have made of promotions' codes"


async def forwards() -> MigrationManager:
    """Make the table."""
    return in_sql(ID, DESCRIPTION, codes.statements)
