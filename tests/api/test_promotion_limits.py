"""Limits of promotions over several worker processes: exact, whoever orders at once, cancels or lets orders expire."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.orders.model import PlaceOrder
from ops.goods import NewOffer
from ops.stack import EmbeddedStack
from tests.api.promoting import (
    ADMIN,
    active,
    coded,
    content,
    edited,
    order_with,
    ordered,
    placed,
    stepped,
    usage,
    with_codes,
)
from tests.api.shop import Shop, bearer, wait
from tests.builders import place
from tests.system import eventually

WORKERS = 3
MANY_ORDERS = 5_000
_BY_STATUS = """
SELECT status, problem ->> 'detail' AS detail, count(*) AS n FROM outcomes WHERE id = ANY ($1) GROUP BY 1, 2
"""
_TOTALS = """
SELECT v.total_minor, count(*) FROM price_versions v JOIN order_lines l USING (order_id)
WHERE variant_id = $1 GROUP BY v.total_minor ORDER BY v.total_minor
"""
_DUE = "now() - interval '1 minute'"


@pytest.fixture(scope="module")
def mall(stack: EmbeddedStack, template: str) -> Iterator[Shop]:
    """A shop of these tests alone, with several workers."""
    running = Shop(stack, template, redis_database=3)
    try:
        running.web()
        for n in range(WORKERS):
            running.system.worker(f"worker{n}")
        yield running
    finally:
        running.close()


def a_code() -> str:
    return f"C{uuid4().hex[:20].upper()}"


def order_at_once(shop: Shop, orders: list[tuple[UUID, PlaceOrder]]) -> dict[tuple[str, str | None], int]:
    """Have orders of buyers placed by all workers at once; return how many ended how, with the reason."""
    shop.pause()
    ids = shop.submit(orders)

    def all_ended() -> bool:
        # Each time a bell rings, so that no worker sleeps while there is something to do.
        shop.resume()
        return bool(shop.value("SELECT count(*) FROM outcomes WHERE id = ANY ($1)", ids) == len(ids))

    eventually(all_ended, 60)
    return {(row["status"], row["detail"]): row["n"] for row in shop.fetch(_BY_STATUS, ids)}


def with_code(offer: NewOffer, *codes: str) -> PlaceOrder:
    order = place(offer)
    return PlaceOrder(order.currency, order.lines, codes=codes)


def workers_that_worked(shop: Shop) -> int:
    return sum('"job":"place_orders"' in shop.system.log(f"worker{n}") for n in range(WORKERS))


def assert_counted(shop: Shop, promotion: dict[str, Any], uses: int) -> None:
    """Report, counter, redemptions and orders say the same."""
    promotion_id = UUID(promotion["id"])
    assert usage(shop, promotion)["uses"] == uses
    counter = "SELECT coalesce(sum(used) FILTER (WHERE user_id = $2), $3) FROM promotion_uses WHERE promotion_id = $1"
    assert shop.value(counter, promotion_id, UUID(int=0), uses) == uses
    assert shop.violations() == {}


def test_a_code_with_a_hundred_uses_applies_to_exactly_a_hundred_of_many_orders(mall: Shop):
    (offer,) = mall.offers(units=MANY_ORDERS * 2)
    code = a_code()
    promotion = coded(mall, code, content(offer, uses_max=100))
    ended = order_at_once(mall, [(uuid4(), with_code(offer, code)) for _ in range(MANY_ORDERS)])
    assert ended == {("succeeded", None): 100, ("rejected", f"{code}: limit_reached"): MANY_ORDERS - 100}
    assert_counted(mall, promotion, 100)
    assert workers_that_worked(mall) > 1


def test_an_automatic_one_with_a_limit_applies_to_so_many_and_the_others_pay_in_full(mall: Shop):
    (offer,) = mall.offers(units=1_000)
    promotion = active(mall, content(offer, automatic=True, uses_max=30))
    assert order_at_once(mall, [(uuid4(), place(offer)) for _ in range(300)]) == {("succeeded", None): 300}
    assert_counted(mall, promotion, 30)
    assert [tuple(row) for row in mall.fetch(_TOTALS, offer.variant_id)] == [(900, 30), (1_000, 270)]


def test_of_fifty_orders_of_one_user_at_once_one_has_what_is_once_per_user(mall: Shop):
    (offer,) = mall.offers(units=1_000)
    code = a_code()
    promotion = coded(mall, code, content(offer, uses_per_user_max=1))
    buyer, together = uuid4(), threading.Barrier(50)

    def order_it(_: int) -> int:
        together.wait()
        return int(ordered(mall, order_with(offer, codes=(code,)), bearer(subject=buyer)).status_code)

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(order_it, range(50)))
    assert sorted(statuses) == [200] + [409] * 49
    others = order_at_once(mall, [(buyer, with_code(offer, code)) for _ in range(20)])
    assert others == {("rejected", f"{code}: user_limit_reached"): 20}
    assert_counted(mall, promotion, 1)


def test_two_codes_of_one_promotion_share_its_limit(mall: Shop):
    (offer,) = mall.offers(units=1_000)
    codes = (a_code(), a_code())
    promotion = with_codes(mall, coded(mall, codes[0], content(offer, uses_max=25)), codes[1])
    ended = order_at_once(mall, [(uuid4(), with_code(offer, codes[n % 2])) for n in range(200)])
    assert ended["succeeded", None] == 25
    assert sum(ended.values()) == 200
    assert_counted(mall, promotion, 25)


def test_a_user_has_one_first_order_over_all_promotions_for_first_orders(mall: Shop):
    (offer,) = mall.offers(units=1_000)
    codes = (a_code(), a_code())
    promotions = [coded(mall, code, content(offer, first_order=True)) for code in codes]
    buyers = [uuid4() for _ in range(10)]
    ended = order_at_once(mall, [(buyers[n % 10], with_code(offer, codes[n // 10 % 2])) for n in range(100)])
    assert ended["succeeded", None] == 10
    assert sum(usage(mall, promotion)["uses"] for promotion in promotions) == 10
    assert mall.violations() == {}


def test_cancelled_and_expired_orders_give_back_exactly_theirs_once(mall: Shop):
    (offer,) = mall.offers(units=1_000)
    code = a_code()
    promotion = coded(mall, code, content(offer, uses_max=40, uses_per_user_max=2))
    buyers = [uuid4() for _ in range(20)]
    order_at_once(mall, [(buyer, with_code(offer, code)) for buyer in buyers * 2])
    assert_counted(mall, promotion, 40)
    of = "SELECT DISTINCT ON (buyer) order_id, buyer FROM redemptions WHERE promotion_id = $1 ORDER BY buyer, order_id"
    rows = mall.fetch(of, UUID(promotion["id"]))
    cancelled, expired = rows[:8], rows[8:15]
    past = [row["order_id"] for row in expired]
    mall.execute(f"UPDATE orders SET expires_at = {_DUE} WHERE id = ANY ($1)", past)
    mall.execute(f"UPDATE reservations SET expires_at = {_DUE} WHERE order_id = ANY ($1)", past)

    def cancel(row: Any) -> int:
        header = bearer(subject=row["buyer"]) | wait()
        return int(mall.http.post(f"/orders/{row['order_id']}/cancel", headers=header).status_code)

    def sweep(_: int) -> int:
        answer = mall.http.post("/sweeps/expire_reservations", headers=ADMIN | wait())
        return int(answer.status_code)

    with ThreadPoolExecutor(20) as pool:
        # Each cancellation twice, beside sweeps.
        swept = pool.map(sweep, range(4))
        statuses = list(pool.map(cancel, [*cancelled, *cancelled]))
        assert list(swept) == [200] * 4
    assert sorted(statuses) == [200] * 8 + [409] * 8
    assert_counted(mall, promotion, 25)
    assert usage(mall, promotion)["returned"] == 15
    ended = order_at_once(mall, [(uuid4(), with_code(offer, code)) for _ in range(60)])
    assert ended["succeeded", None] == 15
    assert_counted(mall, promotion, 40)


def test_a_change_holds_for_every_order_accepted_after_its_answer_in_every_worker(mall: Shop):
    (offer,) = mall.offers(units=10_000)
    promotion = active(mall, content(offer, automatic=True))
    buyers = [bearer() for _ in range(12)]

    def discount(buyer: dict[str, str]) -> int:
        return int(placed(mall, order_with(offer), buyer)["price"]["discount"]["amount"])

    with ThreadPoolExecutor(len(buyers)) as pool:
        for off_bp in (1_000, 2_500, 4_000):
            promotion = edited(mall, promotion, benefit=promotion["content"]["benefit"] | {"off_bp": off_bp})
            assert set(pool.map(discount, buyers)) == {off_bp // 10}
            stepped(mall, promotion, "pause")
            assert set(pool.map(discount, buyers)) == {0}
            promotion = stepped(mall, promotion, "activate")


def test_a_limit_that_shrinks_while_orders_pour_in_is_kept(mall: Shop):
    (offer,) = mall.offers(units=10_000)
    code = a_code()
    promotion = coded(mall, code, content(offer, uses_max=1_000))
    mall.submit([(uuid4(), with_code(offer, code)) for _ in range(500)])
    used = eventually(lambda: usage(mall, promotion)["uses"])
    answer = mall.http.put(
        f"/promotions/{promotion['id']}", json=promotion["content"] | {"uses_max": used + 1}, headers=ADMIN
    )
    mall.settle()
    # Either there were more already, and the old limit stayed; or the new one is kept.
    uses = usage(mall, promotion)["uses"]
    assert (answer.status_code, uses) == (409, 500) or (answer.status_code == 200 and uses <= used + 1)
    assert mall.violations() == {}
