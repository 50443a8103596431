"""Reads of variants, each with what its product says of it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.variants import Combination, OwnedVariant, Variant
from domain.connection import Connection

_COLUMNS = """
SELECT v.id, v.product_id, v.attributes, v.active, v.barcode, v.weight_grams, v.version,
       p.seller_id, p.status AS product_status
FROM variants v JOIN products p ON p.id = v.product_id
"""
LOAD_VARIANTS = f"{_COLUMNS} WHERE v.id = ANY ($1::uuid[])"
LOAD_VARIANTS_OF = f"{_COLUMNS} WHERE v.product_id = ANY ($1::uuid[]) ORDER BY v.product_id, v.id"


async def load_variants(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, OwnedVariant]:
    """Read variants; unknown ones are missing."""
    return {row["id"]: _owned(row) for row in await conn.fetch(LOAD_VARIANTS, ids)}


async def load_variants_of(conn: Connection, products: Sequence[UUID]) -> dict[UUID, list[Variant]]:
    """Read all variants of products in the order they were made, deactivated ones included."""
    found: dict[UUID, list[Variant]] = {product: [] for product in products}
    for row in await conn.fetch(LOAD_VARIANTS_OF, products):
        found[row["product_id"]].append(_variant(row))
    return found


def _owned(row: Any) -> OwnedVariant:
    return OwnedVariant(_variant(row), row["seller_id"], ProductStatus(row["product_status"]))


def _variant(row: Any) -> Variant:
    return Variant(
        id=row["id"],
        product_id=row["product_id"],
        attributes=msgspec.json.decode(row["attributes"], type=Combination),
        active=row["active"],
        barcode=row["barcode"],
        weight_grams=row["weight_grams"],
        version=row["version"],
    )
