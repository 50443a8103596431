"""What is for those who run it: traces of commands, what the audit found, what the scheduler did."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import operation
from domain.migrations.sql.running import in_sql

ID = "2026-11-24T05:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "operation"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, operation.statements)
