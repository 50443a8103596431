"""Answers kept under idempotency keys: the same request again is answered the same, and not carried out again."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import answers
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "answers kept under idempotency keys"


async def forwards() -> MigrationManager:
    """Change the table."""
    return in_sql(ID, DESCRIPTION, answers.statements)
