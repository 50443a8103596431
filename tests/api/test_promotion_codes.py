"""Codes of promotions over HTTP: listed or made up, a hundred thousand at once, exported, and how they are used."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.pricing.codes import ALPHABET
from tests.api import goods
from tests.api.goods import Seller
from tests.api.promoting import (
    ADMIN,
    active,
    ask_for_codes,
    coded,
    content,
    draft,
    order_with,
    placed,
    stepped,
    usage,
    usd,
    with_codes,
)
from tests.api.shop import Shop, assert_problem, bearer
from tests.system import eventually

_OF = "SELECT count(*) FROM promotion_codes WHERE promotion_id = $1"


def a_code() -> str:
    return f"C{uuid4().hex[:20].upper()}"


def count(shop: Shop, promotion: dict[str, Any]) -> int:
    return int(shop.value(_OF, UUID(promotion["id"])))


def path_of(promotion: dict[str, Any]) -> str:
    return f"/promotions/{promotion['id']}/codes"


def csv_of(shop: Shop, promotion: dict[str, Any], who: dict[str, str] = ADMIN) -> list[str]:
    answer = shop.http.get(path_of(promotion), headers=who | {"Accept": "text/csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    head, *lines = answer.text.splitlines()
    assert head == "code,created_at"
    return [line.partition(",")[0] for line in lines]


def test_listed_codes_are_made_once_whatever_their_case(shop: Shop):
    made, code = draft(shop, content()), a_code()
    answer = ask_for_codes(shop, made, {"codes": [code, code.lower(), f"{code}-2"]})
    assert answer.json()["result"] == {"promotion_id": made["id"], "made": 2}
    again = ask_for_codes(shop, made, {"codes": [code.lower(), f"{code}-3"]})
    assert again.json()["result"]["made"] == 1
    page = shop.http.get(path_of(made), headers=ADMIN).json()
    assert sorted(item["code"].upper() for item in page["items"]) == [code, f"{code}-2", f"{code}-3"]


def test_a_code_of_another_promotion_is_refused_and_none_is_made(shop: Shop):
    first, second, code = draft(shop, content()), draft(shop, content()), a_code()
    with_codes(shop, first, code)
    answer = ask_for_codes(shop, second, {"codes": [f"{code}-2", code.lower()]})
    assert_problem(answer, 409, "duplicate_code", "codes[1]")
    assert (count(shop, first), count(shop, second)) == (1, 0)
    version = shop.http.get(f"/promotions/{second['id']}", headers=ADMIN).json()["version"]
    assert version == second["version"]


def test_of_two_promotions_that_want_the_same_codes_at_once_one_has_them_all(shop: Shop):
    promotions = [draft(shop, content()) for _ in range(4)]
    codes = [a_code() for _ in range(200)]
    together = threading.Barrier(4)

    def ask(n: int) -> int:
        together.wait()
        wanted = codes if n % 2 else codes[::-1]
        return int(ask_for_codes(shop, promotions[n], {"codes": wanted}).status_code)

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(ask, range(4)))
    assert sorted(statuses) == [200, 409, 409, 409]
    assert [count(shop, promotion) for promotion in promotions] == [200 * (status == 200) for status in statuses]


def test_a_hundred_thousand_codes_are_one_command_and_are_exported_whole(shop: Shop):
    made = draft(shop, content())
    answer = ask_for_codes(shop, made, {"count": 100_000, "prefix": "Sale-", "length": 10})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {"promotion_id": made["id"], "made": 100_000}
    codes = csv_of(shop, made)
    assert len(codes) == len({code.upper() for code in codes}) == 100_000
    assert all(re.fullmatch(f"Sale-[{ALPHABET}]{{10}}", code) for code in codes)
    assert codes == sorted(codes)
    # One event for all of them.
    rows = shop.fetch("SELECT type, data FROM events WHERE stream = $1 ORDER BY version", UUID(made["id"]))
    assert [row["type"] for row in rows] == ["promotion.created", "promotion.codes_made"]
    assert rows[1]["data"] == '{"made": 100000}'


def test_codes_are_listed_page_by_page(shop: Shop):
    made = draft(shop, content())
    ask_for_codes(shop, made, {"count": 7})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = shop.http.get(path_of(made), params={"limit": 3, **cursor}, headers=ADMIN).json()
        seen += [item["code"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert (len(seen), seen) == (7, csv_of(shop, made))


def test_a_request_that_is_repeated_makes_nothing_twice(shop: Shop):
    made = draft(shop, content())
    key = {"Idempotency-Key": uuid4().hex}
    answers = [shop.http.post(path_of(made), json={"count": 50}, headers=ADMIN | key) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[1].headers["idempotent-replayed"] == "true"
    eventually(lambda: count(shop, made) == 50)
    shop.settle()
    assert count(shop, made) == 50


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "codes"),
        ({"codes": ["A"], "count": 1}, "codes"),
        ({"codes": []}, "codes"),
        ({"codes": ["with space"]}, "codes[0]"),
        ({"codes": ["A\n"]}, "codes[0]"),
        ({"codes": ["x" * 51]}, "codes[0]"),
        ({"codes": ["A"], "prefix": "X"}, "prefix"),
        ({"count": 0}, "count"),
        ({"count": 100_001}, "count"),
        ({"count": 10, "length": 3}, "length"),
        ({"count": 10, "length": 31}, "length"),
        ({"count": 10, "prefix": "=1+"}, "prefix"),
    ],
)
def test_a_malformed_wish_is_a_400(shop: Shop, body: dict[str, Any], path: str):
    made = draft(shop, content())
    assert_problem(ask_for_codes(shop, made, body), 400, "invalid_request", path)
    assert count(shop, made) == 0


def test_what_needs_no_code_or_has_ended_has_none_made(shop: Shop):
    automatic = draft(shop, content(automatic=True))
    assert_problem(ask_for_codes(shop, automatic, {"count": 1}), 409, "conflict")
    ended = stepped(shop, active(shop, content()), "end")
    assert_problem(ask_for_codes(shop, ended, {"count": 1}), 409, "promotion_state")
    assert count(shop, automatic) == count(shop, ended) == 0


def test_a_seller_has_codes_and_usage_of_its_own_promotions_alone(shop: Shop, seller: Seller):
    own = draft(shop, content(funding="seller"), seller.header)
    with_codes(shop, own, a_code(), who=seller.header)
    assert len(csv_of(shop, own, seller.header)) == 1
    assert usage(shop, own, seller.header)["uses"] == 0
    for others in (draft(shop, content()), draft(shop, content(funding="seller"), goods.seller(shop).header)):
        assert_problem(ask_for_codes(shop, others, {"count": 1}, seller.header), 404, "not_found")
        for headers in ({}, {"Accept": "text/csv"}):
            assert_problem(shop.http.get(path_of(others), headers=seller.header | headers), 404, "not_found")
        answer = shop.http.get(f"/promotions/{others['id']}/usage", headers=seller.header)
        assert_problem(answer, 404, "not_found")
        assert count(shop, others) == 0


def test_usage_tells_uses_amounts_what_came_back_and_which_codes_brought_them(shop: Shop):
    (offer,) = shop.offers(units=1_000, price=1_000)
    one, two = f"{a_code()}-a", f"{a_code()}-b"
    made = coded(shop, one, content(offer, uses_max=10, uses_per_user_max=5))
    with_codes(shop, made, two)
    buyer = bearer()
    orders = [placed(shop, order_with(offer, codes=(code,)), buyer) for code in (two, two.upper(), one)]
    cancelled = shop.http.post(f"/orders/{orders[0]['id']}/cancel", headers=buyer | {"Prefer": "wait=20"})
    assert cancelled.status_code == 200
    assert usage(shop, made) == {
        "uses": 2,
        "returned": 1,
        "limit": 10,
        "limit_per_user": 5,
        "amounts": [{"uses": 2, "amount": usd(200)}],
        "codes": sorted([{"code": one, "uses": 1}, {"code": two, "uses": 1}], key=lambda c: str(c["code"]).upper()),
    }


def test_uses_are_listed_page_by_page_the_newest_order_first(shop: Shop):
    (offer,) = shop.offers(units=100, price=1_000)
    code = a_code()
    made = coded(shop, code, content(offer))
    buyer = bearer()
    orders = [placed(shop, order_with(offer, codes=(code,)), buyer) for _ in range(3)]
    shop.http.post(f"/orders/{orders[0]['id']}/cancel", headers=buyer | {"Prefer": "wait=20"})
    path = f"/promotions/{made['id']}/redemptions"
    first = shop.http.get(path, params={"limit": 2}, headers=ADMIN).json()
    rest = shop.http.get(path, params={"cursor": first["next_cursor"]}, headers=ADMIN).json()
    items = first["items"] + rest["items"]
    assert [item["order_id"] for item in items] == [order["id"] for order in reversed(orders)]
    assert [item["returned_at"] is None for item in items] == [True, True, False]
    assert {(item["code"], item["amount"]["amount"]) for item in items} == {(code, 100)}
    assert {item["promotion_version"] for item in items} == {orders[0]["price"]["promotions"][0]["version"]}
    assert rest["next_cursor"] is None
