"""The ledger and payouts."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import ledger
from domain.migrations.sql.running import in_sql

ID = "2026-11-24T01:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the ledger and payouts"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, ledger.statements)
