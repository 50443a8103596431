"""What is imported keeps the rules of the routes, or nothing of it is written."""

from typing import Any

import asyncpg
import msgspec
import pytest

from domain.accounts.model import SellerStatus
from domain.accounts.seller_sql import load_sellers
from domain.catalog.model import TREE
from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import AttributeEdit
from domain.invariants import run_audit
from domain.journal.changes_sql import note_changes
from domain.journal.model import SYSTEM
from infra import postgres
from infra.clock import new_id
from ops.catalog import write_catalog
from ops.goods import CatalogError, NewOffer, NewSeller, Shelf, products_of, shelves_of, steps_of
from ops.shelves import put_up
from tests.builders import offer

pytestmark = pytest.mark.anyio
SELLER = NewSeller(new_id(), "Halyard")
WRITTEN = (
    "SELECT (SELECT count(*) FROM products) + (SELECT count(*) FROM product_slugs) + (SELECT count(*) FROM offers)"
)


async def write(conn: Any, *offers: NewOffer) -> None:
    await write_catalog(conn, [SELLER], list(offers), actor=SYSTEM, reason="test")


def changed(**fields: Any) -> NewOffer:
    return msgspec.structs.replace(offer(SELLER), **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sku": " A"}, "sku"),
        ({"sku": ""}, "sku"),
        ({"price_minor": -1}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"title": ""}, "title"),
        ({"title": "T" * 201}, "title"),
        ({"category": ""}, "name"),
        ({"attributes": {"Colour": "red"}}, "code"),
        ({"attributes": {"colour": ""}}, "choices"),
    ],
)
async def test_what_no_client_may_send_is_not_imported(conn: Any, fields: dict[str, Any], said: str):
    with pytest.raises(CatalogError) as caught:
        await write(conn, changed(**fields))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert await conn.fetchval(WRITTEN) == 0


async def test_a_sku_twice_is_not_imported(conn: Any):
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(conn, offer(SELLER, sku="A1"), offer(SELLER, sku="A1"))
    assert await conn.fetchval(WRITTEN) == 0


async def test_a_variant_that_is_no_combination_is_not_imported(conn: Any):
    made = offer(SELLER)
    bare = msgspec.structs.replace(made, variant_id=new_id(), attributes={"size": "S"}, sku="A2")
    with pytest.raises(CatalogError, match="no combination"):
        await write(conn, made, bare)


async def test_a_products_variants_are_all_combinations_of_its_values(conn: Any):
    red, blue = ({"colour": colour, "size": size} for colour, size in (("red", "S"), ("blue", "M")))
    first = changed(attributes=red)
    second = msgspec.structs.replace(first, variant_id=new_id(), attributes=blue, sku="A3")
    await write(conn, first, second)
    rows = await conn.fetch("SELECT id, attributes ->> 'colour' AS colour, attributes ->> 'size' AS size FROM variants")
    assert sorted((row["colour"], row["size"]) for row in rows) == [
        ("blue", "M"),
        ("blue", "S"),
        ("red", "M"),
        ("red", "S"),
    ]
    assert {first.variant_id, second.variant_id} < {row["id"] for row in rows}
    assert await conn.fetchval("SELECT count(*) FROM offers") == 2
    assert (await run_audit(conn)).violations == 0


async def test_what_stands_of_the_tree_is_used_and_what_lacks_is_added(conn: Any):
    await write(conn, changed(attributes={"colour": "red"}))
    again = NewSeller(new_id(), "Second Spring")
    blue = msgspec.structs.replace(offer(again), attributes={"colour": "blue"})
    await write_catalog(conn, [again], [blue], actor=SYSTEM, reason="test")
    (row,) = await conn.fetch("SELECT code, choices, version FROM attributes")
    assert tuple(row) == ("colour", ["red", "blue"], 2)
    assert await conn.fetchval("SELECT count(*) FROM categories") == 1
    assert await conn.fetchval("SELECT count(*) FROM category_attributes") == 1
    assert (await run_audit(conn)).violations == 0


async def test_an_attribute_of_another_kind_is_left_alone(conn: Any):
    colour = AttributeEdit("colour", "Colour", AttributeKind.TEXT)
    async with postgres.transaction(conn):
        await put_up(conn, [Shelf(("things",), ("colour",))], [colour], actor=SYSTEM)
    with pytest.raises(CatalogError, match="another kind"):
        await write(conn, offer(SELLER))


async def test_a_tree_deeper_than_ten_levels_is_not_put_up(conn: Any):
    paths = [tuple(f"C{n}" for n in range(depth)) for depth in range(1, 12)]
    with pytest.raises(CatalogError, match="at most 10 levels"):
        async with postgres.transaction(conn):
            await put_up(conn, [Shelf(path) for path in paths], [], actor=SYSTEM)


async def test_an_edit_of_the_tree_and_an_import_wait_for_each_other(conn: Any, database_url: str):
    other = await asyncpg.connect(database_url)
    try:
        await conn.execute("BEGIN")
        await note_changes(conn, [TREE])
        await other.execute("SET lock_timeout = '100ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await put_up(other, [Shelf(("things",))], [], actor=SYSTEM)
        await conn.execute("ROLLBACK")
    finally:
        await other.close()


async def test_sellers_are_approved_and_one_with_an_owner_applied_before(conn: Any):
    await write(conn, offer(SELLER))
    seller = (await load_sellers(conn, [SELLER.id]))[SELLER.id]
    assert (seller.status, seller.version, seller.name) == (SellerStatus.APPROVED, 1, "Halyard")
    rows = await conn.fetch("SELECT version, type FROM events WHERE stream = $1", SELLER.id)
    assert [tuple(row) for row in rows] == [(1, "seller.approved")]


async def test_a_product_is_never_cut_in_two():
    offers = [msgspec.structs.replace(offer(SELLER), product_id=new_id()) for _ in range(5)]
    twins = [msgspec.structs.replace(o, seller_id=new_id()) for o in offers]
    shelves, _ = shelves_of(offers)
    products = products_of([*offers, *twins], {shelf.path: _Schema() for shelf in shelves})
    assert [[len(p.offers) for p in step] for step in steps_of(products, 5)] == [[2, 2], [2, 2], [2]]
    assert [[len(p.offers) for p in step] for step in steps_of(products, 1)] == [[2]] * 5


class _Schema:
    category_id = new_id()
