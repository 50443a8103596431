"""``ordermill events``: a read model made anew from events, compared with the one in use, and swapped in."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

import jobs
from domain.insights import rebuild_sql
from domain.insights.sql import PROJECTIONS, SELLER_SALES, STOCK_HISTORY
from domain.inventory.stock_model import SetStock, StockChange
from domain.journal.event_sql import found_subscriptions, note_failures
from domain.journal.events import BEGINNING
from domain.limits import Limits
from ops.rebuild import Rebuild
from tests.builders import submit
from tests.engine.listening import readable
from tests.ops.console import environment, ordermill, result_of
from tests.ops.running import run_all
from tests.ops.trade import Trade
from workers.subscriptions import deliver

Traded = tuple[str, Trade]
SOME = "UPDATE {table} SET {column} = {column} + 1 WHERE ctid = (SELECT ctid FROM {table} LIMIT 1)"
ROWS = "SELECT * FROM {table} ORDER BY 1, 2, 3, 4"


def run(url: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        conn = await asyncpg.connect(url)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(connected())


async def keep(conn: Any) -> None:
    """What workers do: take read models as far as events go."""
    declared = jobs.load_subscriptions()
    await found_subscriptions(conn, [(name, False) for name in PROJECTIONS])
    await readable(conn)
    for name in PROJECTIONS:
        while (await deliver(conn, declared[name], Limits(), events_max=50)).full:  # type: ignore[union-attr]
            pass


def rows(url: str, table: str) -> list[Any]:
    return list(run(url, lambda conn: conn.fetch(ROWS.format(table=table))))


def there(url: str, table: str) -> bool:
    return bool(run(url, lambda conn: conn.fetchval("SELECT to_regclass($1) IS NOT NULL", table)))


@pytest.mark.parametrize("name", sorted(PROJECTIONS))
def test_made_anew_it_is_the_same_and_leaves_nothing(traded: Traded, name: str):
    url, _ = traded
    run(url, keep)
    done = result_of("events", "replay", "--projection", name, env=environment(DATABASE_URL=url))
    assert done["rows"] == len(rows(url, name)) > 0
    assert (done["differing"], done["sample"], done["swapped"]) == (0, [], False)
    assert not there(url, f"{name}_rebuilt")


def test_what_differs_is_shown_and_put_right_by_swapping(traded: Traded):
    url, what = traded
    run(url, keep)
    right = rows(url, "stock_history")
    run(url, lambda conn: conn.execute(SOME.format(table="stock_history", column="on_hand")))
    env = environment(DATABASE_URL=url)
    replay = ("events", "replay", "--projection", "stock_history")
    done = result_of(*replay, env=env, status=1)
    (shown,) = done["sample"]
    assert done["differing"] == 1
    assert shown["used"]["on_hand"] == shown["rebuilt"]["on_hand"] + 1
    assert (
        f"on_hand {shown['used']['on_hand']} -> {shown['rebuilt']['on_hand']}"
        in ordermill(*replay, env=env, status=1).stdout
    )
    assert there(url, "stock_history_rebuilt"), "to look at, or to swap in"
    assert result_of(*replay, "--swap", env=env)["swapped"] is True
    assert rows(url, "stock_history") == right
    assert not there(url, "stock_history_rebuilt")
    key = "SELECT conname FROM pg_constraint WHERE conrelid = 'stock_history'::regclass AND contype = 'p'"
    assert run(url, lambda conn: conn.fetchval(key)) == "stock_history_pkey"

    async def go_on(conn: Any) -> None:
        offer = what.offers[0]
        await submit(conn, SetStock(offer.variant_id, offer.seller_id, StockChange("counted", on_hand=99)))
        await run_all(conn, url, "set_stock")
        await keep(conn)

    run(url, go_on)
    assert rows(url, "stock_history") != right
    assert result_of(*replay, env=env)["differing"] == 0


def test_a_run_that_was_broken_off_goes_on_where_it_was(traded: Traded):
    url, _ = traded
    run(url, keep)

    async def break_off(conn: Any) -> None:
        until = await rebuild_sql.place_in_use(conn, SELLER_SALES)
        assert until is not None
        assert await rebuild_sql.begin(conn, SELLER_SALES) == BEGINNING
        async with conn.transaction():
            reached = await rebuild_sql.advance(conn, SELLER_SALES, BEGINNING, until, 20)
        assert BEGINNING < reached < until
        assert await rebuild_sql.begin(conn, SELLER_SALES) == reached

    run(url, break_off)
    env = environment(DATABASE_URL=url)
    assert result_of("events", "replay", "--projection", "seller_sales", env=env)["differing"] == 0
    run(url, break_off)
    restarted = result_of("events", "replay", "--projection", "seller_sales", "--restart", env=env)
    assert restarted["differing"] == 0


def test_the_one_in_use_may_go_on_meanwhile(traded: Traded, monkeypatch: pytest.MonkeyPatch):
    """It moves each time a piece has been compared: pieces are compared at different places, each at one."""
    url, what = traded
    monkeypatch.setattr("ops.rebuild.ROWS_MAX", 1)
    counts = iter(range(1, 1000))

    async def with_changes(conn: Any) -> Any:
        other = await asyncpg.connect(url)
        compare = rebuild_sql.compare

        async def compare_and_change(*args: Any) -> Any:
            piece = await compare(*args)
            offer = what.offers[next(counts) % len(what.offers)]
            change = StockChange("counted", on_hand=200 + next(counts))
            await submit(other, SetStock(offer.variant_id, offer.seller_id, change))
            await run_all(other, url, "set_stock")
            return piece

        monkeypatch.setattr(rebuild_sql, "compare", compare_and_change)
        rebuild = Rebuild(conn, STOCK_HISTORY, lambda _part: None)
        catch_up = rebuild._compare

        async def keep_and_compare(*args: Any) -> Any:
            await keep(other)
            return await catch_up(*args)

        rebuild._compare = keep_and_compare  # type: ignore[method-assign]
        try:
            return await rebuild.run(swap=True)
        finally:
            await other.close()

    run(url, keep)
    before = rows(url, "stock_history")
    done = run(url, with_changes)
    assert (done.differing, done.rows) == (0, len(before))
    assert rows(url, "stock_history") != before
    run(url, keep)
    assert (
        result_of("events", "replay", "--projection", "stock_history", env=environment(DATABASE_URL=url))["differing"]
        == 0
    )


def test_without_a_read_model_in_use_there_is_nothing_to_compare(traded: Traded):
    url, _ = traded
    done = ordermill("events", "replay", "--projection", "seller_sales", env=environment(DATABASE_URL=url), status=1)
    assert "no worker serves the lane io" in done.stderr


def test_what_failed_is_listed_and_played_again(traded: Traded):
    url, what = traded
    run(url, keep)
    right = rows(url, "stock_history")

    async def fail(conn: Any) -> None:
        """As if the placing of an order had not been taken."""
        event = await conn.fetchrow("SELECT * FROM events WHERE stream = $1 AND version = 1", what.placed)
        await conn.execute("UPDATE stock_history SET reserved = reserved - 2 WHERE variant_id = $1", _first(what))
        await conn.execute("UPDATE stock_history SET reserved = reserved - 1 WHERE variant_id = $1", _second(what))
        await note_failures(conn, "stock_history", [(event["stream"], 1, event["position"], "ValueError: no")])

    run(url, fail)
    assert rows(url, "stock_history") != right
    env = environment(DATABASE_URL=url)
    assert [s["failures"] for s in result_of("events", env=env)["items"]] == [0, 1]
    (failed,) = result_of("events", "failures", env=env)["items"]
    assert (failed["type"], failed["stream"]) == ("order.placed", str(what.placed))
    played = result_of("events", "failures", "--subscription", "stock_history", "--play", env=env)
    assert played == {"items": [], "played": 1}
    assert rows(url, "stock_history") == right
    assert result_of("events", "failures", "--play", env=env)["played"] == 0


def _first(what: Trade) -> Any:
    return what.offers[0].variant_id


def _second(what: Trade) -> Any:
    return what.offers[1].variant_id
