"""Pages of products, walked for and gathered, against an oracle that looks at every product."""

import random
from typing import Any

import pytest

from domain.catalog import listing_reads
from domain.catalog.listing import ListQuery, Sort, place_of
from domain.catalog.listing_reads import Found, Wanted, gather, load_descendants, walk
from infra import postgres
from tests.lists import World, draw_query, write_world

pytestmark = pytest.mark.anyio
QUERIES = 400


@pytest.fixture
async def world(conn: Any) -> World:
    return await write_world(conn)


async def _wanted(conn: Any, query: ListQuery, *, limit: int, after: Any = None) -> Wanted:
    categories = None if query.category_id is None else await load_descendants(conn, query.category_id)
    place = None if after is None else place_of(query, after[1], after[0])
    return Wanted(query, place, categories, limit)


async def _gathered(conn: Any, wanted: Wanted) -> Found:
    async with postgres.planning(conn):
        return await gather(conn, wanted)


async def test_what_is_gathered_is_the_oracles_page(conn: Any, world: World):
    draw = random.Random(7)
    found_any = 0
    for _ in range(QUERIES):
        query = draw_query(draw, world)
        expected = world.listed(query)
        assert await _gathered(conn, await _wanted(conn, query, limit=400)) == expected, query
        if expected:
            found_any += 1
            after = draw.choice(expected)
            rest = expected[expected.index(after) + 1 :][:5]
            assert await _gathered(conn, await _wanted(conn, query, limit=5, after=after)) == rest, query
    assert found_any > QUERIES / 3


@pytest.mark.parametrize(("looks_at", "times"), [(500, 10), (1, 1), (20, 2)])
async def test_what_is_walked_for_is_the_oracles_page_or_left_to_gathering(
    conn: Any, world: World, monkeypatch: pytest.MonkeyPatch, looks_at: int, times: int
):
    monkeypatch.setattr(listing_reads, "WALK_MIN", looks_at)
    monkeypatch.setattr(listing_reads, "WALK_TIMES", times)
    draw = random.Random(8)
    left = 0
    for _ in range(QUERIES):
        query = draw_query(draw, world)
        expected = world.listed(query)
        for after, page in ((None, expected[:10]), (expected[2:3], expected[3:13])):
            if after == []:
                continue
            found = await walk(conn, await _wanted(conn, query, limit=10, after=after and after[0]))
            left += found is None
            assert found is None or found == page, query
    assert (left == 0) is (looks_at == 500), "there are fewer products than the first walk looks at"


@pytest.mark.parametrize("sort", Sort)
async def test_a_plain_list_is_walked_for_and_looks_at_no_more_than_it_shows(conn: Any, world: World, sort: Sort):
    query = ListQuery(sort=sort, currency="USD" if sort in {Sort.PRICE, Sort.DEAREST} else None)
    assert query.is_plain
    expected = world.listed(query)
    pages: Found = []
    while page := await walk(conn, await _wanted(conn, query, limit=7, after=pages[-1] if pages else None)):
        pages += page
    assert pages == expected
