"""Promotions applied to orders that are there: over HTTP, by a real worker, exact under any number at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import Struct

from domain.accounts.model import Role
from domain.money import Money
from domain.pricing.promotion_model import AmountOff, Level, PercentOff
from domain.pricing.scope import Scope
from ops.goods import NewOffer
from tests.api.shop import Shop, assert_problem, bearer, line, order, wait
from tests.api.things import ADDRESS
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)
USES = "SELECT used FROM promotion_uses WHERE promotion_id = $1 AND user_id = '00000000-0000-0000-0000-000000000000'"
UNRETURNED = "SELECT count(*) FROM redemptions WHERE promotion_id = $1 AND returned_at IS NULL"
PROMOTIONS = {"TEN-OFF": 1_000, "HALF-OFF": 5_000, "ALL-OFF": 10_000}


class Known(Struct):
    """An offer and promotions of it, by name."""

    offer: NewOffer
    promotions: dict[str, UUID]


@pytest.fixture(scope="module")
def known(shop: Shop) -> Iterator[Known]:
    (offer,) = shop.offers(units=10_000, price=2_000)
    mine, made = Scope(sellers=(offer.seller_id,)), {}
    for name, off in PROMOTIONS.items():
        made[name] = shop.promotion(name, benefit=PercentOff(Level.ORDER, off), scope=mine)
    yield Known(offer, made)
    for promotion in made.values():
        assert shop.http.post(f"/promotions/{promotion}/end", headers=ADMIN).status_code == 200


def limited(shop: Shop, known: Known, uses: int) -> tuple[str, UUID]:
    """A code of a promotion with so many uses."""
    code = f"LIMITED-{uuid4().hex[:8]}"
    off = AmountOff(Level.ORDER, Money(100, "USD"))
    return code, shop.promotion(code, benefit=off, scope=Scope(sellers=(known.offer.seller_id,)), uses_max=uses)


def placed(shop: Shop, known: Known, who: dict[str, str], **more: Any) -> str:
    """Place an order; return its id."""
    answer = shop.http.post("/orders", json=order(known.offer) | more, headers=who | wait())
    assert answer.status_code == 200, answer.text
    made: str = answer.json()["id"]
    return made


def apply(shop: Shop, who: dict[str, str], order_id: str, *codes: str, **more: Any) -> httpx.Response:
    body = {"order_id": order_id, "codes": codes, **more}
    return shop.http.post("/promotions/apply", json=body, headers=who | wait())


def look(shop: Shop, order_id: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get(f"/orders/{order_id}", headers=ADMIN).json()
    return found


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def test_codes_are_applied_to_an_order_in_place_of_those_it_gave(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who, codes=["TEN-OFF"])
    assert look(shop, made)["price"]["total"] == usd(1_800)
    answer = apply(shop, who, made, "half-off")
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    assert (result["price_version"], result["total"], result["discount"]) == (2, usd(1_000), usd(1_000))
    assert [(each["code"], each["amount"]) for each in result["promotions"]] == [("half-off", usd(1_000))]
    shown = look(shop, made)
    assert (shown["status"], shown["price"]["version"], shown["price"]["total"]) == ("pending_payment", 2, usd(1_000))
    told = shop.http.get(f"/orders/{made}/timeline", headers=who).json()["items"]
    assert [event["type"] for event in told] == ["order.placed", "order.repriced"]
    assert told[1]["data"]["total_minor"] == 1_000
    assert apply(shop, who, made).json()["result"]["total"] == usd(2_000)
    assert [shop.value(UNRETURNED, known.promotions[name]) for name in ("TEN-OFF", "HALF-OFF")] == [0, 0]


def test_the_same_codes_again_leave_the_version_that_is_there(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who, codes=["TEN-OFF"], shipping_address=ADDRESS)
    before = look(shop, made)
    assert apply(shop, who, made, "TEN-OFF").json()["result"]["price_version"] == 1
    assert look(shop, made) == before


def test_a_code_in_vain_refuses_unless_it_is_no_matter(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who)
    refused = apply(shop, who, made, "TEN-OFF", "NO-SUCH-CODE")
    assert (refused.status_code, refused.json()["code"], refused.json()["path"]) == (422, "code_refused", "codes[1]")
    assert look(shop, made)["price"]["version"] == 1
    result = apply(shop, who, made, "TEN-OFF", "NO-SUCH-CODE", promotions="best_effort").json()["result"]
    assert result["total"] == usd(1_800)
    assert result["codes_in_vain"] == [{"code": "NO-SUCH-CODE", "reason": "unknown"}]


def test_an_order_that_is_free_now_is_confirmed(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who)
    assert apply(shop, who, made, "ALL-OFF").json()["result"]["total"] == usd(0)
    eventually(lambda: look(shop, made)["status"] == "confirmed")
    late = apply(shop, who, made, "TEN-OFF")
    assert (late.status_code, late.json()["code"]) == (409, "order_state")
    assert "confirmed" in late.json()["detail"]


def test_a_cancelled_order_is_priced_no_more(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who)
    assert shop.http.post(f"/orders/{made}/cancel", json={}, headers=who | wait()).status_code == 200
    late = apply(shop, who, made, "TEN-OFF")
    assert (late.status_code, late.json()["code"]) == (409, "order_state")


def test_an_order_whose_placing_is_queued_is_waited_for(shop: Shop, known: Known):
    who = bearer()
    shop.pause()
    try:
        made = shop.http.post("/orders", json=order(known.offer), headers=who).json()["id"]
        body = {"order_id": made, "codes": ["TEN-OFF"]}
        job = shop.http.post("/promotions/apply", json=body, headers=who)
        assert job.status_code == 202, job.text
    finally:
        shop.resume()
    path = job.headers["location"]
    eventually(lambda: shop.http.get(path, headers=who).json()["status"] == "succeeded")
    assert look(shop, made)["price"]["total"] == usd(1_800)


def test_a_repeated_request_is_the_same_job(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who)
    key = {"Idempotency-Key": uuid4().hex}
    first, second = (apply(shop, who | key, made, "TEN-OFF") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert look(shop, made)["price"]["version"] == 2


def test_somebody_elses_order_is_a_404_and_an_admin_may(shop: Shop, known: Known):
    made = placed(shop, known, bearer())
    for stranger in (bearer(), bearer(Role.GUEST)):
        assert_problem(apply(shop, stranger, made, "TEN-OFF"), 404, "not_found")
    assert_problem(apply(shop, bearer(), str(uuid4()), "TEN-OFF"), 404, "not_found")
    assert look(shop, made)["price"]["version"] == 1
    assert apply(shop, ADMIN, made, "TEN-OFF").json()["result"]["total"] == usd(1_800)


def test_without_an_order_it_is_a_quote_and_writes_nothing(shop: Shop, known: Known):
    before = shop.counts()
    body = order(known.offer, quantity=2) | {"codes": ["HALF-OFF"]}
    answer = shop.http.post("/promotions/apply", json=body, headers=bearer() | wait())
    assert answer.status_code == 200, answer.text
    assert answer.json()["totals"]["total"] == usd(2_000)
    assert shop.http.post("/orders/quote", json=body, headers=bearer()).json() == answer.json()
    assert shop.counts() == before


def test_a_body_that_says_too_much_or_too_little_is_a_400_with_its_path(shop: Shop, known: Known):
    who = bearer()
    made = placed(shop, known, who)
    lines = [line(known.offer)]
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "order_id"),
        ({"codes": ["TEN-OFF"]}, "order_id"),
        ({"lines": lines}, "currency"),
        ({"order_id": made, "lines": lines}, "lines"),
        ({"order_id": made, "currency": "USD"}, "currency"),
        ({"order_id": made, "shipping_address": ADDRESS}, "shipping_address"),
        ({"order_id": made, "shipping_methods": {made: made}}, "shipping_methods"),
        ({"order_id": made, "codes": ["A"] * 11}, "codes"),
        ({"order_id": made, "total": usd(1)}, "total"),
        ({"order_id": made, "promotions": "always"}, "promotions"),
        ({"order_id": "no id"}, "order_id"),
        ({"currency": "USD", "lines": lines, "codes": ["A"] * 11}, "codes"),
    ]
    for body, path in bad:
        answer = shop.http.post("/promotions/apply", json=body, headers=who)
        assert_problem(answer, 400, "invalid_request", path)
    assert look(shop, made)["price"]["version"] == 1


def test_a_use_that_is_given_back_is_another_orders(shop: Shop, known: Known):
    code, promotion = limited(shop, known, 1)
    first, second = bearer(), bearer()
    held, wants = placed(shop, known, first, codes=[code]), placed(shop, known, second)
    assert apply(shop, first, held, code).status_code == 200
    refused = apply(shop, second, wants, code)
    assert (refused.status_code, refused.json()["detail"]) == (409, f"{code}: limit_reached")
    assert apply(shop, first, held).status_code == 200
    assert shop.value(USES, promotion) == 0
    assert apply(shop, second, wants, code).json()["result"]["total"] == usd(1_900)
    assert (shop.value(USES, promotion), shop.value(UNRETURNED, promotion)) == (1, 1)
    assert shop.http.post(f"/orders/{wants}/cancel", json={}, headers=second | wait()).status_code == 200
    assert (shop.value(USES, promotion), shop.value(UNRETURNED, promotion)) == (0, 0)


def test_of_many_orders_at_once_as_many_get_a_code_as_it_has_uses(shop: Shop, known: Known):
    """Some give it when they are placed, some have it applied, and some of these give it up again."""
    code, promotion = limited(shop, known, 5)
    buyers = [bearer() for _ in range(24)]
    waiting = [placed(shop, known, who) for who in buyers[:12]]

    def applied(n: int) -> int:
        status = apply(shop, buyers[n], waiting[n], code).status_code
        if n % 4 == 0:
            assert apply(shop, buyers[n], waiting[n]).status_code == 200
            return 0
        return status

    def given(n: int) -> int:
        body = order(known.offer) | {"codes": [code]}
        return shop.http.post("/orders", json=body, headers=buyers[n] | wait()).status_code

    with ThreadPoolExecutor(24) as pool:
        statuses = list(pool.map(lambda n: applied(n) if n < 12 else given(n), range(24)))
    kept = statuses.count(200)
    assert set(statuses) <= {200, 409, 0}
    assert kept <= 5
    assert (shop.value(USES, promotion), shop.value(UNRETURNED, promotion)) == (kept, kept)
    left = [n for n in range(12) if statuses[n] != 200]
    late = [apply(shop, buyers[n], waiting[n], code).status_code for n in left]
    assert late.count(200) == 5 - kept
    assert (shop.value(USES, promotion), shop.value(UNRETURNED, promotion)) == (5, 5)


def test_of_a_buyers_orders_the_one_placed_first_is_the_first(shop: Shop, known: Known):
    code = f"FIRST-{uuid4().hex[:8]}"
    scope, off = Scope(sellers=(known.offer.seller_id,)), PercentOff(Level.ORDER, 1_000)
    shop.promotion(code, benefit=off, scope=scope, first_order=True)
    who = bearer()
    first, second = placed(shop, known, who), placed(shop, known, who)
    refused = apply(shop, who, second, code)
    assert (refused.status_code, refused.json()["detail"]) == (409, f"{code}: not_first_order")
    for _ in range(2):
        assert apply(shop, who, first, code).json()["result"]["total"] == usd(1_800)
    assert shop.http.post(f"/orders/{first}/cancel", json={}, headers=who | wait()).status_code == 200
    assert apply(shop, who, second, code).json()["result"]["total"] == usd(1_800)
