"""Products: their category, texts and attributes, slugs, versions; the read model that lists are read from."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import products
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "products, their slugs, listings"


async def forwards() -> MigrationManager:
    """Make the tables."""
    return in_sql(ID, DESCRIPTION, products.statements)
