"""The ledger over HTTP: accounts and entries for admins, statements for sellers."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.accounts.model import Role
from tests.api import goods
from tests.api.books import book, owed, seller_with_details
from tests.api.shop import Shop, assert_problem, bearer

ADMIN = bearer(Role.ADMIN)
TODAY = datetime.now(UTC).date()


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).isoformat()


def listed(shop: Shop, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = shop.http.get(path, params={**query, **cursor}, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


def statement(shop: Shop, seller: goods.Seller, **query: Any) -> dict[str, Any]:
    answer = shop.http.get("/sellers/me/statements", params=query, headers=seller.header)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def amounts(page: dict[str, Any]) -> list[tuple[int, int]]:
    return [(line["amount"]["amount"], line["balance"]["amount"]) for line in page["items"]]


def test_accounts_are_those_of_the_entries(shop: Shop):
    ann = seller_with_details(shop)
    owed(shop, ann, 700)
    owed(shop, ann, 50, currency="JPY")
    found = listed(shop, "/ledger/accounts", owner=str(ann.id), limit=1)
    assert [(a["account"], a["balance"]) for a in found] == [
        ("seller_payable", {"amount": -50, "currency": "JPY"}),
        ("seller_payable", {"amount": -700, "currency": "USD"}),
    ]
    everything = listed(shop, "/ledger/accounts", limit=200)
    assert [a for a in everything if a["owner"] == str(ann.id)] == found
    assert listed(shop, "/ledger/accounts", account="seller_payable", owner=str(ann.id)) == found
    assert {a["account"] for a in listed(shop, "/ledger/accounts", account="refunds")} == {"refunds"}


def test_entries_are_found_by_what_they_are_about(shop: Shop):
    ann = seller_with_details(shop)
    order = owed(shop, ann, 700)
    book(shop, ann, order, -200)
    of_order = listed(shop, "/ledger/entries", order_id=str(order), limit=1)
    theirs = [(e["kind"], e["amount"]["amount"]) for e in of_order if e["account"] == "seller_payable"]
    assert theirs == [("refund", 200), ("sale", -700)]
    of_seller = listed(shop, "/ledger/entries", account="seller_payable", owner=str(ann.id), limit=1)
    assert [e["position"] for e in of_seller] == [e["position"] for e in of_order if e["account"] == "seller_payable"]
    assert listed(shop, "/ledger/entries", owner=str(ann.id), limit=1) == of_seller
    cause = of_order[0]["cause_id"]
    posting = listed(shop, "/ledger/entries", cause_id=cause)
    assert sum(e["amount"]["amount"] for e in posting) == 0
    assert listed(shop, "/ledger/entries", order_id=str(order), kind="refund") == posting
    newest = shop.http.get("/ledger/entries", params={"limit": 5}, headers=ADMIN).json()
    assert len(newest["items"]) == 5
    times = [e["at"] for e in newest["items"]]
    assert times == sorted(times, reverse=True)
    assert {e["account"] for e in listed(shop, "/ledger/entries", account="refunds", order_id=str(order))} == {
        "refunds"
    }
    assert shop.http.get("/ledger/entries", params={"account": "seller_payable"}, headers=ADMIN).json()["items"]


def test_a_statement_goes_from_what_was_owed_before_to_what_is_owed_after(shop: Shop):
    ann = seller_with_details(shop)
    order = owed(shop, ann, 700, days_ago=10)
    book(shop, ann, order, -200, days_ago=5)
    book(shop, ann, order, 30, days_ago=1)
    page = statement(shop, ann, **{"from": day(6), "to": day(2)})
    assert (page["from"], page["to"], page["currency"]) == (day(6), day(2), "USD")
    assert (page["opening"]["amount"], page["closing"]["amount"]) == (700, 500)
    assert amounts(page) == [(-200, 500)]
    (line,) = page["items"]
    number = shop.http.get(f"/orders/{order}", headers=ADMIN).json()["number"]
    assert (line["kind"], line["order_id"], line["order"]) == ("refund", str(order), number)


def test_the_balance_goes_on_from_page_to_page(shop: Shop):
    ann = seller_with_details(shop)
    order = owed(shop, ann, 700, days_ago=3)
    for amount in (-1, 20, -300):
        book(shop, ann, order, amount, days_ago=2)
    found, cursor = [], None
    while True:
        page = statement(shop, ann, limit=1, **({"cursor": cursor} if cursor else {}))
        found += amounts(page)
        assert (page["opening"]["amount"], page["closing"]["amount"]) == (0, 419)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [(700, 700), (-1, 699), (20, 719), (-300, 419)]


def test_a_statement_is_a_file_where_one_is_asked_for(shop: Shop):
    ann = seller_with_details(shop)
    order = owed(shop, ann, 700, days_ago=3)
    book(shop, ann, order, -705, days_ago=2)
    for query, accept in (({"format": "csv"}, {}), ({}, {"Accept": "text/csv"})):
        answer = shop.http.get("/sellers/me/statements", params=query, headers={**ann.header, **accept})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        told = [(row["kind"], row["amount"], row["balance"]) for row in rows]
        assert told == [
            ("opening", "", "0.00"),
            ("sale", "7.00", "7.00"),
            ("refund", "-7.05", "-0.05"),
            ("closing", "", "-0.05"),
        ]


def test_a_statement_is_of_one_currency_and_of_a_year_at_most(shop: Shop):
    ann = seller_with_details(shop)

    def refused(path: str, **query: Any) -> str:
        answer = shop.http.get("/sellers/me/statements", params=query, headers=ann.header)
        return str(assert_problem(answer, 400, "invalid_request", path)["detail"])

    assert "which currency" in refused("currency")
    owed(shop, ann, 700)
    owed(shop, ann, 50, currency="JPY")
    assert refused("currency").endswith("JPY, USD")
    assert statement(shop, ann, currency="JPY")["closing"] == {"amount": 50, "currency": "JPY"}
    assert statement(shop, ann, currency="EUR")["closing"] == {"amount": 0, "currency": "EUR"}
    refused("from", currency="USD", **{"from": day(1), "to": day(2)})
    refused("from", currency="USD", **{"from": day(400), "to": day(2)})
    refused("to", currency="USD", to="1900-01-01")
    refused("format", currency="USD", format="pdf")


def test_a_seller_sees_its_own_money_alone(shop: Shop):
    ann, bert = seller_with_details(shop), seller_with_details(shop)
    owed(shop, ann, 700)
    assert statement(shop, bert, currency="USD")["items"] == []
    assert shop.http.get("/sellers/me/balance", headers=bert.header).json()["balances"] == []
