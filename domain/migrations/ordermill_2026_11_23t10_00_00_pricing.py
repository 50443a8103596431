"""Pricing: promotions, commission rules, rate cards, and what orders freeze of them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from domain.migrations.sql import pricing
from domain.migrations.sql.running import in_sql

ID = "2026-11-23T10:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "promotions, commission rules, rate cards, priced orders"


async def forwards() -> MigrationManager:
    """Change the tables."""
    return in_sql(ID, DESCRIPTION, pricing.statements)
