"""Readers of events."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import events
from domain.migrations.sql.running import in_sql

ID = "2026-11-24T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "readers of events"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, events.statements)
