"""``GET /events``: what happened, oldest first, for admins who look for something and for clients that follow."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.accounts.model import Role
from domain.journal import event_search_reads
from domain.journal.event_search_reads import EventSearch, search_events
from domain.journal.events import BEGINNING
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from infra.clock import new_id
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.engine.listening import readable

ADMIN = bearer(Role.ADMIN)


def page(shop: Shop, **query: Any) -> dict[str, Any]:
    answer = shop.http.get("/events", params=query, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"items", "next_cursor", "cursor"}
    return body


def listed(shop: Shop, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """All that fits, page by page, and where to go on later."""
    items: list[dict[str, Any]] = []
    while True:
        body = page(shop, **query)
        items += body["items"]
        if body["next_cursor"] is None:
            return items, body["cursor"]
        query["cursor"] = body["next_cursor"]


# Of types that have no fields, so that any thing may have them here.
MADE, BROKEN, OTHER = "promotion.activated", "promotion.paused", "account.verified"


def happened(kind: str, correlation: str, *, stream: UUID | None = None, version: int = 1) -> Event:
    return Event(stream or new_id(), version, kind, "{}", SYSTEM, correlation)


def write(shop: Shop, correlation: str, *kinds: str) -> UUID:
    """Append events to a stream; return it."""
    which = new_id()
    events = [happened(kind, correlation, stream=which, version=n) for n, kind in enumerate(kinds, start=1)]
    shop.using(lambda conn: insert_events(conn, events))
    shop.using(readable)
    return which


def test_an_orders_events_are_found_by_its_id(shop: Shop):
    (offer,) = shop.offers()
    done = shop.http.post(
        "/orders", json=order(offer), headers=bearer(Role.BUYER) | wait() | {"X-Request-ID": "found-by-its-id"}
    ).json()
    shop.using(readable)
    (placed,), _ = listed(shop, stream=done["id"])
    assert (placed["type"], placed["version"], placed["correlation"]) == ("order.placed", 1, "found-by-its-id")
    assert placed["data"]["lines"][0]["variant_id"] == str(offer.variant_id)
    assert [e["stream"] for e in listed(shop, correlation="found-by-its-id")[0]] == [done["id"]]


def test_types_are_asked_for_one_or_all_of_a_kind(shop: Shop):
    stream = write(shop, "kinds", MADE, BROKEN, OTHER)

    def kinds(**query: Any) -> list[str]:
        return [event["type"] for event in listed(shop, correlation="kinds", **query)[0]]

    assert kinds(type=MADE) == [MADE]
    assert kinds(type="promotion.*", limit=1) == [MADE, BROKEN]
    assert kinds(type="promotion.*", stream=str(stream), limit=1) == [MADE, BROKEN]
    assert kinds(type="promotion.mended") == []


def test_who_polls_with_the_last_cursor_misses_nothing_and_sees_nothing_twice(shop: Shop):
    query = {"correlation": "polled", "type": MADE, "limit": 2}
    cursor = listed(shop, **query)[1]
    seen: list[str] = []
    expected = [str(write(shop, "polled", MADE))]
    while len(seen) < 5:
        body = page(shop, cursor=cursor, **query)
        seen += [event["stream"] for event in body["items"]]
        cursor = body["cursor"]
        expected += [str(write(shop, "polled", MADE, OTHER)), str(write(shop, "polled", MADE))]
    rest, cursor = listed(shop, cursor=cursor, **query)
    assert seen + [event["stream"] for event in rest] == expected
    assert page(shop, cursor=cursor, **query)["items"] == []


def test_what_is_written_before_it_is_listed_before_it(shop: Shop):
    """An open transaction that wrote first: what was committed after it waits for it."""
    early, late = happened(MADE, "late"), happened(BROKEN, "late")

    async def write_both(conn: Any) -> None:
        other = await asyncpg.connect(shop.database_url)
        try:
            async with other.transaction():
                await insert_events(other, [early])
                await insert_events(conn, [late])
                found = await search_events(conn, EventSearch(correlation="late"), None, 10)
                assert found.items == []
        finally:
            await other.close()

    shop.using(write_both)
    shop.using(readable)
    assert [event["type"] for event in listed(shop, correlation="late")[0]] == [MADE, BROKEN]


def test_time_narrows_what_is_listed(shop: Shop):
    first = str(write(shop, "timed", MADE))
    moment = shop.value("SELECT clock_timestamp()")
    second = str(write(shop, "timed", MADE))

    def streams(**query: Any) -> list[str]:
        return [event["stream"] for event in listed(shop, correlation="timed", **query)[0]]

    assert streams(since=moment.isoformat()) == [second]
    assert streams(until=moment.isoformat()) == [first]
    hour = timedelta(hours=1)
    assert streams(since=(moment - hour).isoformat(), until=(moment + hour).isoformat()) == [first, second]
    assert streams(since=(moment + hour).isoformat()) == []
    assert streams(stream=second, since=(moment - hour).isoformat()) == [second]


@pytest.mark.anyio
async def test_the_first_event_since_a_time_is_found_wherever_it_stands(conn: Any):
    now = datetime.now(UTC).replace(microsecond=0)
    for minutes in range(100):
        await conn.execute(
            "INSERT INTO events (stream, version, type, data, actor, at) VALUES ($1, 1, 'test', '{}', $1, $2)",
            new_id(),
            now + timedelta(minutes=minutes),
        )
    await readable(conn)
    for minutes in (-5, 0, 1, 2, 37, 98, 99, 100, 105):
        since = now + timedelta(minutes=minutes)
        found = await search_events(conn, EventSearch(since=since), None, 200)
        assert [event.at for event in found.items] == [
            now + timedelta(minutes=m) for m in range(100) if m >= minutes
        ], minutes
    low = await conn.fetchval(event_search_reads.FIRST_SINCE, now + timedelta(minutes=50))
    assert low == await conn.fetchval("SELECT xid::text::bigint FROM events ORDER BY at OFFSET 50 LIMIT 1")


@pytest.mark.anyio
async def test_a_page_that_looked_at_enough_says_where_to_go_on(conn: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_search_reads, "LOOKED_AT_MAX", 7)
    for n in range(30):
        await insert_events(conn, [happened(MADE if n == 25 else OTHER, "")])
    await readable(conn)
    wanted, after, sizes = EventSearch(type=MADE), BEGINNING, []
    while True:
        found = await search_events(conn, wanted, after, 5)
        sizes.append(len(found.items))
        after = found.cursor
        if not found.more:
            break
    assert sizes == [0, 0, 0, 1, 0]
    early = EventSearch(until=datetime.now(UTC) - timedelta(days=1))
    assert not (await search_events(conn, early, BEGINNING, 5)).more, "nothing later can fit"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"type": "order"}, "type"),
        ({"type": "order.%"}, "type"),
        ({"type": "*"}, "type"),
        ({"cursor": "1"}, "cursor"),
        ({"cursor": "9223372036854775808-0"}, "cursor"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"until": "1999-01-01T00:00:00Z"}, "until"),
        ({"limit": 0}, "limit"),
        ({"correlation": "\0"}, "correlation"),
        ({"stream": "x"}, "stream"),
    ],
)
def test_what_cant_be_asked_is_refused(shop: Shop, query: dict[str, Any], path: str):
    assert_problem(shop.http.get("/events", params=query, headers=ADMIN), 400, "invalid_request", path)


def test_it_is_for_admins(shop: Shop):
    assert_problem(shop.http.get("/events", headers=bearer(Role.BUYER)), 403, "forbidden")
