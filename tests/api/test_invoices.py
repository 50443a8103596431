"""Invoices and credit notes over HTTP: issued when an order is paid, seen by whom they concern, as JSON or a page."""

from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.accounts.model import Role
from domain.payments.invoice_model import IssueInvoices
from tests.api import goods
from tests.api.entries import ADDRESS
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)


def invoiced(shop: Shop, who: dict[str, str], *sellers: goods.Seller, **more: Any) -> str:
    """The id of an order of something of each seller, paid and invoiced."""
    offers = [shop.offer_of(seller.id) for seller in sellers]
    answer = shop.http.post("/orders", json=order(*offers) | more, headers=who | wait())
    assert answer.status_code == 200, answer.text
    made = str(answer.json()["id"])
    pay(shop, made, who)
    return made


def pay(shop: Shop, order_id: str, who: dict[str, str]) -> None:
    body = {"gateway": "sandbox", "token": "tok_ok"}
    answer = shop.http.post(f"/orders/{order_id}/payment", json=body, headers=who | wait())
    assert answer.status_code == 200, answer.text
    issue(shop, order_id)


def issue(shop: Shop, order_id: str) -> None:
    """Have what is missing issued, and wait until it is."""
    (command,) = shop.submit([(UUID(int=0), IssueInvoices(UUID(order_id)))])
    eventually(lambda: shop.value("SELECT count(*) FROM outcomes WHERE id = $1", command))


def get(shop: Shop, order_id: str, who: dict[str, str], **query: str) -> httpx.Response:
    return shop.http.get(f"/orders/{order_id}/invoice", params=query, headers=who)


def items(shop: Shop, order_id: str, who: dict[str, str]) -> list[dict[str, Any]]:
    answer = get(shop, order_id, who)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_buyer_an_admin_and_each_seller_see_what_concerns_them(shop: Shop):
    one, other, buyer = goods.seller(shop), goods.seller(shop), bearer()
    placed = invoiced(shop, buyer, one, other)
    whole = items(shop, placed, buyer)
    assert [(each["kind"], each["seller_id"], each["number"]) for each in whole] == [
        ("invoice", str(one.id), 1),
        ("invoice", str(other.id), 1),
    ]
    assert items(shop, placed, ADMIN) == whole
    assert items(shop, placed, one.header) == whole[:1]
    assert items(shop, placed, other.header) == whole[1:]
    assert_problem(get(shop, placed, bearer()), 404, "not_found")
    assert_problem(get(shop, placed, goods.seller(shop).header), 404, "not_found")


def test_an_invoice_tells_what_the_order_shows(shop: Shop):
    buyer = bearer()
    placed = invoiced(shop, buyer, goods.seller(shop), shipping_address=ADDRESS)
    shown = shop.http.get(f"/orders/{placed}", headers=buyer).json()
    (document,) = items(shop, placed, buyer)
    assert document["order_number"] == shown["number"]
    assert document["ship_to"] == shown["ship_to"]
    assert document["total"] == shown["price"]["total"]
    assert document["seller_order_id"] == shown["seller_orders"][0]["id"]
    (line,), (of_order,) = document["lines"], shown["lines"]
    assert [line[name] for name in ("sku", "title", "quantity", "unit_price")] == [
        of_order[name] for name in ("sku", "title", "quantity", "unit_price")
    ]


def test_what_is_given_back_is_a_credit_note_of_its_own(shop: Shop):
    seller, buyer = goods.seller(shop), bearer()
    placed = invoiced(shop, buyer, seller)
    answer = shop.http.post(f"/orders/{placed}/cancel", headers=buyer | wait())
    assert answer.status_code == 200, answer.text
    issue(shop, placed)
    invoice, note = items(shop, placed, buyer)
    assert (note["kind"], note["cause_id"], note["number"]) == ("credit_note", answer.json()["id"], 1)
    assert (note["invoice_number"], note["total"]) == (invoice["number"], invoice["total"])


def test_a_document_is_issued_by_itself(shop: Shop):
    buyer, offer = bearer(), shop.offer_of(goods.seller(shop).id)
    placed = shop.http.post("/orders", json=order(offer), headers=buyer | wait()).json()["id"]
    body = {"gateway": "sandbox", "token": "tok_ok"}
    assert shop.http.post(f"/orders/{placed}/payment", json=body, headers=buyer | wait()).status_code == 200
    eventually(lambda: [each["kind"] for each in items(shop, placed, buyer)] == ["invoice"])
    assert shop.http.post(f"/orders/{placed}/cancel", headers=buyer | wait()).status_code == 200
    eventually(lambda: [each["kind"] for each in items(shop, placed, buyer)] == ["invoice", "credit_note"])


def test_an_order_that_is_not_paid_has_no_document(shop: Shop):
    buyer, offer = bearer(), shop.offer_of(goods.seller(shop).id)
    placed = shop.http.post("/orders", json=order(offer), headers=buyer | wait()).json()["id"]
    issue(shop, placed)
    assert items(shop, placed, buyer) == []
    assert "Nothing has been invoiced" in get(shop, placed, buyer, format="html").text


class _Page(HTMLParser):
    """What a page is made of: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("query", "accept", "is_page"),
    [
        ({}, "text/html,application/xhtml+xml,*/*;q=0.8", True),
        ({}, "*/*", False),
        ({}, "application/json, text/html;q=0.5", False),
        ({"format": "html"}, "application/json", True),
        ({"format": "json"}, "text/html", False),
    ],
)
def test_it_is_a_page_for_who_asks_for_one(shop: Shop, query: dict[str, str], accept: str, is_page: bool):
    buyer = bearer()
    placed = invoiced(shop, buyer, goods.seller(shop))
    answer = get(shop, placed, buyer | {"Accept": accept}, **query)
    assert answer.headers["content-type"].startswith("text/html" if is_page else "application/json")
    assert answer.headers["vary"] == "Accept"


def test_the_page_is_made_for_everybody_and_runs_nothing(shop: Shop):
    buyer = bearer()
    address = {"name": "<script>alert(1)</script>", "line1": "1 & 2", "city": "Köln", "country": "DE"}
    seller = goods.seller(shop)
    shop.execute("UPDATE sellers SET name = '<b>Ada</b> & Sons' WHERE id = $1", seller.id)
    placed = invoiced(shop, buyer, seller, shipping_address=address)
    answer = get(shop, placed, buyer, format="html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    page = _Page(answer.text)
    names = [tag for tag, _ in page.tags]
    assert {"script", "b", "img", "link", "a"} & set(names) == set()
    for typed in ("<script>alert(1)</script>", "1 & 2", "<b>Ada</b> & Sons", "Köln", "10.00 USD"):
        assert typed in page.text
    assert ("html", {"lang": "en"}) in page.tags
    assert names.count("h1") == names.count("article") == 1
    assert names.count("caption") == names.count("table")
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_another_format_is_refused(shop: Shop):
    buyer = bearer()
    placed = invoiced(shop, buyer, goods.seller(shop))
    assert_problem(get(shop, placed, buyer, format="pdf"), 400, "invalid_request", "format")
