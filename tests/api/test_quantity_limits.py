"""Limits per buyer: in an order, in a time, exact whoever asks at once, given back by what comes to nothing."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from domain.accounts.model import Role
from domain.inventory.hold_model import HoldLine, ReserveStock
from domain.journal.model import Command
from ops.goods import NewOffer
from ops.stack import EmbeddedStack
from tests.api.shop import Shop, assert_problem, bearer, line, order, wait
from tests.api.stockroom import DUE, do, figures, ordered, reserve, reserved, wrong_of_stock
from tests.builders import place
from tests.system import eventually

WORKERS = 3
ORDERS = 500
_DUE_ORDER = "UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = $1"
_DUE_OF_ORDER = "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE order_id = $1"
_ENDED = "SELECT status, count(*) AS n FROM outcomes WHERE id = ANY ($1) GROUP BY 1 ORDER BY 1"


@pytest.fixture(scope="module")
def mall(stack: EmbeddedStack, template: str) -> Iterator[Shop]:
    """A shop of these tests alone, with several workers."""
    running = Shop(stack, template, redis_database=4)
    try:
        running.web()
        for n in range(WORKERS):
            running.system.worker(f"worker{n}")
        yield running
    finally:
        running.close()


def limit(shop: Shop, offer: NewOffer, most: int | None, seconds: int | None = None) -> None:
    """Set what a buyer may take, as the seller does."""
    who = bearer(Role.SELLER, subject=shop.member(offer.seller_id))
    body = {
        "sku": offer.sku,
        "price": {"amount": offer.price_minor, "currency": "USD"},
        "quantity_max": most,
        "quantity_window_seconds": seconds,
    }
    answer = shop.http.put(f"/offers/{offer.variant_id}/{offer.seller_id}", json=body, headers=who)
    assert answer.status_code == 200, answer.text


def limited(shop: Shop, most: int, seconds: int | None = 3_600, units: int = 1_000) -> NewOffer:
    (offer,) = shop.offers(units=units)
    limit(shop, offer, most, seconds)
    return offer


def try_order(shop: Shop, who: dict[str, str], offer: NewOffer, units: int = 1) -> httpx.Response:
    return shop.http.post("/orders", json=order(offer, quantity=units), headers=who | wait())


def refused(answer: httpx.Response, left: str, path: str = "lines[0]") -> None:
    assert assert_problem(answer, 409, "quantity_limit", path)["detail"].endswith(left)


def work_off(shop: Shop, wanted: list[tuple[UUID, Command]], *lanes: str) -> dict[str, int]:
    """Have commands of buyers carried out by all workers at once; return how many ended how."""
    for lane in lanes:
        shop.pause(lane)
    ids = shop.submit(wanted)

    def all_ended() -> bool:
        # Each time bells ring, so that no worker sleeps while there is something to do.
        for lane in lanes:
            shop.resume(lane)
        return bool(shop.value("SELECT count(*) FROM outcomes WHERE id = ANY ($1)", ids) == len(ids))

    eventually(all_ended, 60)
    return {row["status"]: row["n"] for row in shop.fetch(_ENDED, ids)}


def test_an_order_has_no_more_of_an_offer_than_it_allows(shop: Shop):
    mug = limited(shop, 3, None)
    who = bearer()
    refused(try_order(shop, who, mug, 4), "in one order")
    lines = {"currency": "USD", "lines": [line(mug, 2), line(mug, 2)]}
    refused(shop.http.post("/orders", json=lines, headers=who | wait()), "in one order")
    for _ in range(2):
        ordered(shop, order(mug, quantity=3), who)
    refused(reserve(shop, who, line(mug, 4)), "in one order")
    assert figures(shop, mug)[1] == 6


def test_a_buyer_has_no_more_in_a_time_than_the_offer_allows_and_is_told_what_is_left(shop: Shop):
    mug = limited(shop, 5)
    who = bearer()
    ordered(shop, order(mug, quantity=2), who)
    refused(try_order(shop, who, mug, 4), "3 left")
    ordered(shop, order(mug, quantity=3), who)
    refused(try_order(shop, who, mug), "0 left")
    ordered(shop, order(mug, quantity=5), bearer())
    assert figures(shop, mug)[1] == 10
    assert wrong_of_stock(shop) == {}


def test_units_count_as_long_as_the_time_and_no_longer(shop: Shop):
    mug = limited(shop, 3, 60)
    who = bearer()
    (held,) = (UUID(each) for each in reserved(shop, who, line(mug, 3)))
    refused(try_order(shop, who, mug), "0 left")
    # As if it had been asked for 61 seconds earlier.
    older = UUID(int=held.int - (61_000 << 80))
    for table, column in (("limited_holds", "reservation_id"), ("reservations", "id")):
        shop.execute(f"UPDATE {table} SET {column} = $2 WHERE {column} = $1", held, older)
    ordered(shop, order(mug, quantity=3), who)
    refused(try_order(shop, who, mug), "0 left")
    assert figures(shop, mug)[1] == 6
    shop.execute("UPDATE reservations SET id = $2 WHERE id = $1", older, held)
    shop.execute("DELETE FROM limited_holds WHERE reservation_id = $1", older)


def test_what_is_cancelled_or_expired_may_be_had_again(shop: Shop):
    mug = limited(shop, 3)
    who = bearer()
    cancelled = ordered(shop, order(mug, quantity=3), who)
    assert shop.http.post(f"/orders/{cancelled}/cancel", headers=who | wait()).status_code == 200
    due = ordered(shop, order(mug, quantity=3), who)
    shop.execute(_DUE_ORDER, due)
    shop.execute(_DUE_OF_ORDER, due)
    ordered(shop, order(mug, quantity=3), who)
    eventually(lambda: shop.value("SELECT expired_at IS NOT NULL FROM orders WHERE id = $1", due))
    refused(try_order(shop, who, mug), "0 left")
    assert wrong_of_stock(shop) == {}


def test_what_is_held_counts_like_what_is_ordered_and_once_when_an_order_takes_it_over(shop: Shop):
    mug = limited(shop, 3)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 2))
    refused(try_order(shop, who, mug, 2), "1 left")
    refused(reserve(shop, who, line(mug, 2)), "1 left")
    ordered(shop, order(mug, quantity=3) | {"reservation_ids": [held]}, who)
    refused(reserve(shop, who, line(mug)), "0 left")
    other = bearer()
    (held,) = reserved(shop, other, line(mug, 3))
    do(shop, "release", held, other)
    (held,) = reserved(shop, other, line(mug, 3))
    shop.execute(DUE, UUID(held))
    reserved(shop, other, line(mug, 3))
    assert wrong_of_stock(shop) == {}


def test_a_quote_tells_of_the_limit(shop: Shop):
    mug = limited(shop, 3)
    who = bearer()
    ordered(shop, order(mug, quantity=2), who)
    quoted = shop.http.post("/orders/quote", json=order(mug, quantity=2), headers=who).json()
    assert (quoted["refusal"]["code"], quoted["refusal"]["path"]) == ("quantity_limit", "lines[0]")


def test_a_limit_counts_from_when_it_was_set(shop: Shop):
    (mug,) = shop.offers(units=100)
    who = bearer()
    ordered(shop, order(mug, quantity=9), who)
    limit(shop, mug, 3, 3_600)
    ordered(shop, order(mug, quantity=3), who)
    refused(try_order(shop, who, mug), "0 left")
    limit(shop, mug, 4, 3_600)
    ordered(shop, order(mug), who)
    limit(shop, mug, None)
    ordered(shop, order(mug, quantity=50), who)
    assert figures(shop, mug)[1] == 9 + 3 + 1 + 50


def test_of_hundreds_of_orders_and_holds_of_one_buyer_at_once_exactly_the_limit_is_had(mall: Shop):
    mug = limited(mall, 3)
    buyer, hold = uuid4(), ReserveStock((HoldLine(mug.variant_id, mug.seller_id, 1),))
    wanted: list[tuple[UUID, Command]] = [(buyer, place(mug) if n % 2 else hold) for n in range(ORDERS)]
    assert work_off(mall, wanted, "orders", "stock") == {"rejected": ORDERS - 3, "succeeded": 3}
    assert figures(mall, mug) == (1_000, 3, 0)
    assert wrong_of_stock(mall) == {}


def test_of_hundreds_of_orders_of_a_hundred_buyers_each_has_its_limit(mall: Shop):
    mug, cup = limited(mall, 2), limited(mall, 3)
    buyers, either_way = [uuid4() for _ in range(100)], ((mug, cup), (cup, mug))
    wanted: list[tuple[UUID, Command]] = [(buyer, place(*either_way[n % 2])) for n in range(5) for buyer in buyers]
    assert work_off(mall, wanted, "orders") == {"rejected": 300, "succeeded": 200}
    assert figures(mall, mug)[1] == figures(mall, cup)[1] == 200
    assert wrong_of_stock(mall) == {}
