"""Payouts over HTTP, from what sellers are owed to the bank's file and back; what sellers and admins see of it."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest

from domain.accounts.model import Role
from tests.api import goods
from tests.api.books import IBAN, book, owed, seller_with_details
from tests.api.shop import Shop, assert_problem, bearer, wait

ADMIN = bearer(Role.ADMIN)
NOBODY = str(uuid4())


def collect(shop: Shop, currency: str, **more: Any) -> dict[str, Any]:
    answer = shop.http.post("/payouts", json={"currency": currency, **more}, headers=ADMIN | wait())
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def step(shop: Shop, payout: str, way: str, body: Any = None) -> dict[str, Any]:
    answer = shop.http.post(f"/payouts/{payout}/{way}", json=body, headers=ADMIN | wait())
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def shown(shop: Shop, payout: str, **query: Any) -> dict[str, Any]:
    answer = shop.http.get(f"/payouts/{payout}", params=query, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def exported(shop: Shop, payout: str) -> list[dict[str, str]]:
    answer = shop.http.get(f"/payouts/{payout}/export", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.text)))


def balances(shop: Shop, seller: goods.Seller) -> dict[str, tuple[int, ...]]:
    """By currency: in all, pending, available, in payouts, held."""
    answer = shop.http.get("/sellers/me/balance", headers=seller.header)
    assert answer.status_code == 200, answer.text
    names = ("balance", "pending", "available", "in_payouts", "held")
    return {b["currency"]: tuple(b[name]["amount"] for name in names) for b in answer.json()["balances"]}


def test_a_payout_from_what_is_owed_to_what_is_paid(shop: Shop):
    ann, bert = seller_with_details(shop), seller_with_details(shop, holder="Bert")
    owed(shop, ann, 12_345, currency="SEK")
    owed(shop, bert, 700, currency="SEK")
    made = collect(shop, "SEK")
    payout = made["payout_id"]
    assert (made["state"], made["sellers"], made["more"]) == ("pending_approval", 2, False)
    assert made["total"] == {"amount": 13_045, "currency": "SEK"}
    assert balances(shop, ann)["SEK"] == (12_345, 0, 0, 12_345, 0)
    assert step(shop, payout, "approve")["state"] == "approved"
    rows = {row["seller_id"]: row for row in exported(shop, payout)}
    assert rows[str(ann.id)] | {"reference": "", "seller_id": ""} == {
        "reference": "",
        "seller_id": "",
        "seller": "Analytical Engines",
        "holder": "Ada Lovelace",
        "account": IBAN["iban"],
        "bank": IBAN["bic"],
        "amount": "123.45",
        "currency": "SEK",
    }
    assert len({row["reference"] for row in rows.values()}) == len(rows) == 2
    assert step(shop, payout, "paid")["state"] == "paid"
    told = shown(shop, payout)
    assert [(s["state"], s["sellers"], s["amount"]["amount"]) for s in told["sums"]] == [("paid", 2, 13_045)]
    assert {item["seller_id"] for item in told["items"]} == {str(ann.id), str(bert.id)}
    assert told["items"][0]["payout_shown"] == "DE•• •••• •••• 3000"
    assert balances(shop, ann)["SEK"] == (0, 0, 0, 0, 0)


def test_the_details_stand_nowhere_but_in_the_file(shop: Shop):
    ann = seller_with_details(shop)
    owed(shop, ann, 500, currency="NOK")
    payout = collect(shop, "NOK")["payout_id"]
    step(shop, payout, "approve")
    exported(shop, payout)
    secret = str(IBAN["iban"])
    assert secret not in shop.http.get(f"/payouts/{payout}", headers=ADMIN).text
    tables = [
        row["t"] for row in shop.fetch("SELECT relname AS t FROM pg_class WHERE relname IN ('events', 'outcomes')")
    ]
    assert len(tables) == 2
    for table in tables:
        assert shop.value(f"SELECT count(*) FROM {table} x WHERE to_jsonb(x)::text LIKE '%' || $1 || '%'", secret) == 0
    for name in ("web", "web2", "worker"):
        assert secret not in shop.system.log(name)


def test_only_an_approved_payout_has_a_file(shop: Shop):
    ann = seller_with_details(shop)
    owed(shop, ann, 500, currency="DKK")
    payout = collect(shop, "DKK")["payout_id"]
    url = f"/payouts/{payout}/export"
    assert_problem(shop.http.get(url, headers=ADMIN), 409, "payout_state")
    step(shop, payout, "approve")
    assert len(exported(shop, payout)) == 1
    shop.execute("UPDATE sellers SET payout = payout || '\\x00' WHERE id = $1", ann.id)
    problem = assert_problem(shop.http.get(url, headers=ADMIN), 409, "payout_state")
    assert str(ann.id) in problem["detail"]
    step(shop, payout, "paid")
    assert_problem(shop.http.get(url, headers=ADMIN), 409, "payout_state")


def test_a_name_can_not_become_a_formula_of_a_spreadsheet(shop: Shop):
    ann = seller_with_details(shop, holder="=cmd|' /C calc'!A0")
    owed(shop, ann, 500, currency="CHF")
    payout = collect(shop, "CHF")["payout_id"]
    step(shop, payout, "approve")
    assert [row["holder"] for row in exported(shop, payout)] == ["'=cmd|' /C calc'!A0"]


def test_what_failed_for_a_seller_is_in_the_next_payout(shop: Shop):
    ann, bert = seller_with_details(shop), seller_with_details(shop)
    owed(shop, ann, 900, currency="PLN")
    owed(shop, bert, 800, currency="PLN")
    payout = collect(shop, "PLN")["payout_id"]
    step(shop, payout, "approve")
    step(shop, payout, "failed", {"reason": "no such account", "sellers": [str(bert.id)]})
    step(shop, payout, "paid")
    reasons = {item["seller_id"]: (item["state"], item["reason"]) for item in shown(shop, payout)["items"]}
    assert reasons == {str(ann.id): ("paid", ""), str(bert.id): ("failed", "no such account")}
    following = collect(shop, "PLN")
    assert (following["sellers"], following["total"]["amount"]) == (1, 800)
    step(shop, following["payout_id"], "failed", {"reason": "not today"})
    assert shown(shop, following["payout_id"])["payout"]["reason"] == "not today"
    assert balances(shop, bert)["PLN"] == (800, 0, 800, 0, 0)


def test_a_minimum_is_of_the_payouts_currency_and_something(shop: Shop):
    def refused(minimum: dict[str, Any]) -> Any:
        return shop.http.post("/payouts", json={"currency": "CZK", "minimum": minimum}, headers=ADMIN)

    assert_problem(refused({"amount": 5, "currency": "EUR"}), 422, "currency_mismatch", "minimum.currency")
    assert_problem(refused({"amount": 0, "currency": "CZK"}), 400, "invalid_request", "minimum.amount")
    ann = seller_with_details(shop)
    owed(shop, ann, 900, currency="CZK")
    assert collect(shop, "CZK", minimum={"amount": 901, "currency": "CZK"})["state"] == "empty"
    assert collect(shop, "CZK", minimum={"amount": 900, "currency": "CZK"})["state"] == "pending_approval"


def test_what_may_not_happen_is_a_409_that_names_the_state(shop: Shop):
    payout = collect(shop, "XTS")["payout_id"]
    answer = shop.http.post(f"/payouts/{payout}/approve", headers=ADMIN | wait())
    problem = assert_problem(answer, 409, "payout_state") if "job" not in answer.json() else answer.json()
    assert "the payout is empty and can't be approved" in problem["detail"]
    for way in ("approve", "paid", "failed"):
        answer = shop.http.post(f"/payouts/{NOBODY}/{way}", json={"reason": "x"}, headers=ADMIN)
        assert_problem(answer, 404, "not_found")


def test_payouts_are_listed_by_state_newest_first(shop: Shop):
    made = [collect(shop, "XTS")["payout_id"] for _ in range(3)]
    query = {"state": "empty", "limit": 2}
    first = shop.http.get("/payouts", params=query, headers=ADMIN).json()
    assert [payout["id"] for payout in first["items"]] == made[:0:-1]
    second = shop.http.get("/payouts", params={**query, "cursor": first["next_cursor"]}, headers=ADMIN).json()
    assert second["items"][0]["id"] == made[0]


def test_a_payout_shows_its_sellers_page_by_page(shop: Shop):
    sellers = [seller_with_details(shop) for _ in range(3)]
    for seller in sellers:
        owed(shop, seller, 500, currency="HUF")
    payout = collect(shop, "HUF")["payout_id"]
    first = shown(shop, payout, limit=2)
    second = shown(shop, payout, limit=2, cursor=first["next_cursor"])
    assert [item["seller_id"] for item in first["items"] + second["items"]] == sorted(str(s.id) for s in sellers)
    assert second["next_cursor"] is None


def test_a_balance_is_the_sum_of_its_parts(shop: Shop):
    ann = seller_with_details(shop)
    owed(shop, ann, 100, settled=False)
    owed(shop, ann, 2_000)
    disputed = owed(shop, ann, 30)
    shop.execute("UPDATE settlements SET disputes = 1 WHERE order_id = $1", disputed)
    owed(shop, ann, 7, currency="JPY")
    assert balances(shop, ann) == {"JPY": (7, 0, 7, 0, 0), "USD": (2_130, 100, 2_000, 0, 30)}


def test_a_seller_that_was_given_more_than_is_left_owes_it(shop: Shop):
    ann = seller_with_details(shop)
    order = owed(shop, ann, 100)
    book(shop, ann, order, -250)
    assert balances(shop, ann) == {"USD": (-150, 0, -150, 0, 0)}


@pytest.mark.parametrize("path", ["/sellers/me/balance", "/sellers/me/statements"])
def test_who_acts_for_no_seller_has_none(shop: Shop, path: str):
    assert_problem(shop.http.get(path, headers=ADMIN), 404, "not_found")
