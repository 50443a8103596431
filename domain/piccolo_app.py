"""The tables Piccolo knows, and where their migrations are."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from domain.accounts.tables import (
    Accounts,
    Addresses,
    ApiKeys,
    OneTimeTokens,
    RefreshTokens,
    Revocations,
    SellerMembers,
    Sellers,
    Sessions,
)
from domain.catalog.tables import (
    Attributes,
    CatalogChanges,
    Categories,
    CategoryAttributes,
    Listings,
    Offers,
    Products,
    ProductSlugs,
    Relistings,
    Variants,
)
from domain.inventory.tables import LimitedHolds, Movements, Reservations, Stock
from domain.journal.tables import (
    Commands,
    Events,
    Idempotency,
    Outcomes,
    Parked,
    PausedLanes,
    Pending,
    Runs,
    Workers,
)
from domain.orders.tables import CancelledLines, CartLines, Carts, OrderLines, Orders, PriceVersions, SellerOrders
from domain.payments.tables import (
    Chargebacks,
    CommissionReversals,
    OrphanedCharges,
    Payments,
    Reconciliations,
    Refunds,
    SandboxIntents,
)
from domain.pricing.tables import (
    CodeBatches,
    CommissionRules,
    CommissionSnapshots,
    PricingVersions,
    PromotionCodes,
    Promotions,
    PromotionUses,
    PromotionVersions,
    RateCards,
    Redemptions,
)

TABLES = [
    Commands,
    Outcomes,
    Pending,
    Parked,
    Idempotency,
    PausedLanes,
    Workers,
    Runs,
    Events,
    Accounts,
    Sessions,
    RefreshTokens,
    OneTimeTokens,
    ApiKeys,
    Addresses,
    Sellers,
    SellerMembers,
    Revocations,
    Categories,
    Attributes,
    CategoryAttributes,
    Products,
    ProductSlugs,
    Listings,
    Relistings,
    Variants,
    Offers,
    CatalogChanges,
    PricingVersions,
    Promotions,
    PromotionVersions,
    PromotionCodes,
    CodeBatches,
    PromotionUses,
    Redemptions,
    CommissionRules,
    CommissionSnapshots,
    RateCards,
    Stock,
    Reservations,
    LimitedHolds,
    Movements,
    Orders,
    SellerOrders,
    OrderLines,
    PriceVersions,
    CancelledLines,
    Carts,
    CartLines,
    Payments,
    Refunds,
    Chargebacks,
    OrphanedCharges,
    Reconciliations,
    CommissionReversals,
    SandboxIntents,
]

APP_CONFIG = AppConfig(
    app_name="ordermill", migrations_folder_path=Path(__file__).parent / "migrations", table_classes=list(TABLES)
)
