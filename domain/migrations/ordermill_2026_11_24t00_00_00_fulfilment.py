"""Fulfilment of orders."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import fulfilment
from domain.migrations.sql.running import in_sql

ID = "2026-11-24T00:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "fulfilment of orders"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, fulfilment.statements)
