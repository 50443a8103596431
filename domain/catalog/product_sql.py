"""Statements that write products: lock them, give them slugs, write new ones and changed ones.

Invariant: whoever changes a product, its variants or its offers holds its row's lock. Each change raises its version by
one, appends one event with that version, lists it anew, and is noted, all in one transaction. A slug belongs to one
product for good, so a link to it stays good too.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.catalog.listing_sql import refresh_listings
from domain.catalog.product_edit import changes_of
from domain.catalog.product_lifecycle import ProductStatus, Step
from domain.catalog.product_model import Product, ProductChanged, ProductCreated, ProductDetails
from domain.catalog.schema import Value
from domain.catalog.slugs import slugs_of
from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.writing import Rows, write

_DETAILS = (
    ("title", "text"),
    ("category_id", "uuid"),
    ("description", "text"),
    ("attributes", "jsonb"),
    ("meta_title", "text"),
    ("meta_description", "text"),
)
_DECIDED = (("status", "text"), ("slug", "text"), ("version", "integer"), ("reason", "text"), *_DETAILS)
_COLUMNS = (("id", "uuid"), ("seller_id", "uuid"), *_DECIDED)

LOCK_PRODUCTS = f"""
SELECT {", ".join(name for name, _ in _COLUMNS)} FROM products
WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_CHANGED = (("id", "uuid"), *_DECIDED)
UPDATE_PRODUCTS = f"""
UPDATE products p SET updated_at = now(), {", ".join(f"{name} = t.{name}" for name, _ in _DECIDED)}
FROM unnest({", ".join(f"${n}::{kind}[]" for n, (_, kind) in enumerate(_CHANGED, start=1))})
    AS t ({", ".join(name for name, _ in _CHANGED)})
WHERE p.id = t.id
"""

# For each product the best of its candidates that nobody else has. Two that want the same one at the same moment, in
# one statement or in two, are told apart by the key: the second one gets none.
TAKE_SLUGS = """
INSERT INTO product_slugs (slug, product_id)
SELECT DISTINCT ON (slug) slug, product_id
FROM (
    SELECT DISTINCT ON (t.product_id) t.product_id, t.slug
    FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS t (product_id, slug, place)
    LEFT JOIN product_slugs s ON s.slug = t.slug
    WHERE s.product_id IS NULL OR s.product_id = t.product_id
    ORDER BY t.product_id, t.place
) AS wanted
ORDER BY slug, product_id
ON CONFLICT (slug) DO UPDATE SET product_id = product_slugs.product_id
    WHERE product_slugs.product_id = excluded.product_id
RETURNING product_id, slug
"""

EVENTS = {
    Step.EDIT: "product.changed",
    Step.SUBMIT: "product.submitted",
    Step.APPROVE: "product.approved",
    Step.REJECT: "product.rejected",
    Step.ACTIVATE: "product.activated",
    Step.DEACTIVATE: "product.deactivated",
    Step.ARCHIVE: "product.archived",
}


async def lock_products(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, Product]:
    """Lock products, in the order of their ids, and read them as they are then; unknown ones are missing."""
    return {row["id"]: _product(row) for row in await conn.fetch(LOCK_PRODUCTS, ids)}


def _product(row: Any) -> Product:
    details = ProductDetails(
        title=row["title"],
        category_id=row["category_id"],
        description=row["description"],
        attributes=msgspec.json.decode(row["attributes"], type=dict[str, Value]),
        meta_title=row["meta_title"],
        meta_description=row["meta_description"],
    )
    status = ProductStatus(row["status"])
    return Product(row["id"], row["seller_id"], status, row["slug"], row["version"], details, row["reason"])


async def take_slugs(conn: Connection, titles: Sequence[tuple[UUID, str]]) -> dict[UUID, str]:
    """Give products the slugs of their titles; one whose every candidate is somebody else's is missing."""
    wanted = {product_id: slugs_of(title, product_id) for product_id, title in titles}
    taken = await _take(conn, wanted)
    left = {product_id: slugs[-1:] for product_id, slugs in wanted.items() if product_id not in taken}
    return {**taken, **await _take(conn, left)} if left else taken


async def _take(conn: Connection, wanted: dict[UUID, tuple[str, ...]]) -> dict[UUID, str]:
    rows = [(product_id, slug, place) for product_id, slugs in wanted.items() for place, slug in enumerate(slugs)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return {row["product_id"]: row["slug"] for row in await conn.fetch(TAKE_SLUGS, *columns)}


async def insert_products(conn: Connection, products: Sequence[Product], *, actor: UUID, correlation: str = "") -> None:
    """Write new products, their slugs taken; list them when their variants and offers are written, too."""
    await write(conn, Rows("products", _COLUMNS, [(p.id, p.seller_id, *_decided(p)) for p in products]))
    await insert_events(
        conn, [Event(p.id, p.version, "product.created", _created(p), actor, correlation) for p in products]
    )


def _decided(product: Product) -> tuple[object, ...]:
    details = product.details
    return (
        product.status.value,
        product.slug,
        product.version,
        product.reason,
        details.title,
        details.category_id,
        details.description,
        msgspec.json.encode(details.attributes).decode(),
        details.meta_title,
        details.meta_description,
    )


def _created(product: Product) -> str:
    said = msgspec.structs.asdict(product.details)
    created = ProductCreated(seller_id=product.seller_id, status=product.status, slug=product.slug, **said)
    return msgspec.json.encode(created).decode()


async def change_products(
    conn: Connection,
    changes: Sequence[tuple[Product, Product]],
    step: Step,
    *,
    actor: UUID,
    correlation: str = "",
) -> None:
    """Write locked products as they are from now on: (before, after), after one step that each of them takes."""
    rows = [(after.id, *_decided(after)) for _, after in changes]
    await conn.execute(UPDATE_PRODUCTS, *(list(column) for column in zip(*rows, strict=True)))
    await insert_events(
        conn,
        [
            Event(after.id, after.version, EVENTS[step], _changed(before, after), actor, correlation)
            for before, after in changes
        ],
    )
    await refresh_listings(conn, [after.id for _, after in changes])


def _changed(before: Product, after: Product) -> str:
    return msgspec.json.encode(ProductChanged(changes_of(before, after))).decode()
