"""Accounts: people, their sessions and keys, members of sellers; what was revoked and what changed."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import accounts
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T00:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "accounts, sessions, keys, sellers' members"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, accounts.statements)
