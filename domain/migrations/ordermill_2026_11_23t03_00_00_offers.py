"""Variants and offers: combinations made once, barcodes, weights; validity, and how much a buyer may take."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import offers
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "variants' combinations, barcodes and weights; offers' validity and limits"


async def forwards() -> MigrationManager:
    """Change the tables."""
    return in_sql(ID, DESCRIPTION, offers.statements)
