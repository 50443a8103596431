"""The sample: what it fills a catalog with, by the rules every catalog keeps."""

from typing import Any

import pytest

from domain.accounts.model import Position
from domain.accounts.reads import load_membership
from domain.catalog.barcode import is_gtin
from domain.catalog.category_reads import load_schemas
from domain.catalog.product_sql import lock_products
from domain.catalog.schema import check
from domain.catalog.variant_reads import load_variants_of
from domain.catalog.variants import combinations
from domain.invariants import run_audit
from infra.passwords import Passwords
from ops.sample import UNITS, seller_id, variant_id, write_sample
from ops.sample_goods import ARTICLES, OWNERS, SELLERS, SHELVES

pytestmark = pytest.mark.anyio

COUNTS = """
SELECT (SELECT count(*) FROM sellers WHERE status = 'approved') AS sellers,
       (SELECT count(*) FROM categories) AS categories,
       (SELECT count(*) FROM products WHERE status = 'active' AND description <> '') AS products,
       (SELECT count(*) FROM listings WHERE status = 'active' AND currency = '') AS listings,
       (SELECT count(DISTINCT product_id) FROM listings WHERE price_minor > 0) AS priced
"""
SEVERAL = "SELECT count(*) FROM (SELECT FROM variants GROUP BY product_id HAVING count(*) > 1) AS several"


async def test_it_has_sellers_a_tree_and_products_with_variants_at_prices(conn: Any):
    await write_sample(conn)
    counts = await conn.fetchrow(COUNTS)
    assert tuple(counts) == (len(SELLERS), len(SHELVES), len(ARTICLES), len(ARTICLES), len(ARTICLES))
    assert (len(SELLERS), len(ARTICLES)) == (3, 20)
    assert await conn.fetchval(SEVERAL) >= 8
    assert await conn.fetchval("SELECT max(cardinality(path)) FROM categories") == 3
    assert {row["units"] for row in await conn.fetch("SELECT on_hand AS units FROM stock")} == {UNITS}
    assert await conn.fetchval("SELECT count(*) FROM stock") == await conn.fetchval("SELECT count(*) FROM offers")


async def test_its_products_fit_what_their_categories_ask_inherited_or_not(conn: Any):
    await write_sample(conn)
    ids = [row["id"] for row in await conn.fetch("SELECT id FROM products")]
    products = await lock_products(conn, ids)
    variants = await load_variants_of(conn, ids)
    schemas = await load_schemas(conn, [p.details.category_id for p in products.values() if p.details.category_id])
    inherited = 0
    for product in products.values():
        assert product.details.category_id is not None
        schema = schemas[product.details.category_id]
        assert check(schema, product.details.attributes, complete=True) is None
        made = [variant.attributes for variant in variants[product.id]]
        assert combinations(schema, product.details.attributes, made, variants_max=100) == []
        assert all(variant.barcode and is_gtin(variant.barcode) for variant in variants[product.id])
        inherited += sum(
            a.inherited_from is not None and a.code in product.details.attributes for a in schema.attributes
        )
    assert inherited >= 10


async def test_its_owners_sign_in_with_a_password_that_is_another_one_each_time(conn: Any):
    owners = await write_sample(conn)
    assert owners is not None
    assert owners.emails == list(OWNERS)
    passwords = Passwords()
    try:
        for n, email in enumerate(OWNERS):
            account = await conn.fetchrow("SELECT id, password_hash, verified_at FROM accounts WHERE email = $1", email)
            assert account["verified_at"] is not None
            assert await passwords.check(owners.password, account["password_hash"])
            membership = await load_membership(conn, account["id"])
            assert membership is not None
            assert (membership.seller_id, membership.position) == (seller_id(n), Position.OWNER)
    finally:
        passwords.close()
    text = await conn.fetchval("SELECT string_agg(data::text, '') FROM events")
    assert owners.password not in text


async def test_an_address_that_is_somebodys_already_owns_nothing(conn: Any):
    await conn.execute(
        "INSERT INTO accounts (id, email, email_key, password_hash) VALUES (uuidv7(), $1, $1, repeat('x', 20))",
        OWNERS[0],
    )
    owners = await write_sample(conn)
    assert owners is not None
    assert owners.emails == list(OWNERS[1:])
    assert await conn.fetchval("SELECT count(*) FROM seller_members") == 2
    assert (await run_audit(conn)).violations == 0


async def test_it_is_written_once_and_the_audit_finds_nothing(conn: Any):
    assert await write_sample(conn) is not None
    before = await conn.fetchval("SELECT count(*) FROM events")
    assert await write_sample(conn) is None
    assert await conn.fetchval("SELECT count(*) FROM events") == before
    assert (await run_audit(conn)).violations == 0
    assert await conn.fetchval("SELECT count(*) FROM variants WHERE id = ANY ($1)", [variant_id(3), variant_id(7)]) == 2
