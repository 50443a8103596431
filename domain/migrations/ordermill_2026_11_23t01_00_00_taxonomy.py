"""The taxonomy: categories, attributes, which category asks for which attribute."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import taxonomy
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T01:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "categories, attributes, assignments"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, taxonomy.statements)
