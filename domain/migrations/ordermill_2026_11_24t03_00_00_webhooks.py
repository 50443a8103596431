"""Webhooks."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import webhooks
from domain.migrations.sql.running import in_sql

ID = "2026-11-24T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "webhooks"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, webhooks.statements)
