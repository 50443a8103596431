"""The books of the sandbox."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import sandbox
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T23:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the books of the sandbox"


async def forwards() -> MigrationManager:
    """Make the table."""
    return in_sql(ID, DESCRIPTION, sandbox.statements)
