"""Read models over HTTP: they follow what workers do, a few seconds later."""

from datetime import date
from typing import Any

from domain.accounts.model import Role
from tests.api import goods
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.system import eventually


def items(shop: Shop, path: str, who: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    answer = shop.http.get(path, params=query, headers=who)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_seller_sees_what_it_sold_and_how_its_stock_moved(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    path = f"/inventory/{offer.variant_id}/{offer.seller_id}/history"
    buyer = bearer(Role.BUYER)
    placed = shop.http.post("/orders", json=order(offer, quantity=2), headers=buyer | wait()).json()
    paying = {"gateway": "sandbox", "token": "tok_ok"}
    paid = shop.http.post(f"/orders/{placed['id']}/payment", json=paying, headers=buyer | wait())
    assert paid.status_code == 200, paid.text
    eventually(lambda: items(shop, "/sellers/me/sales", seller.header))
    (sold,) = items(shop, "/sellers/me/sales", seller.header)
    amount = {"amount": offer.price_minor * 2, "currency": "USD"}
    assert (sold["orders"], sold["units"], sold["goods"], sold["total"]) == (1, 2, amount, amount)
    assert (sold["units_taken_back"], sold["taken_back"]["amount"]) == (0, 0)
    eventually(lambda: sum(day["sold"] for day in items(shop, path, seller.header)) == 2)
    newest = items(shop, path, bearer(Role.ADMIN), limit=1)[0]
    assert date.fromisoformat(newest["day"])
    assert (newest["on_hand"], newest["reserved"]) == (offer.units - 2, 0)
    assert_problem(shop.http.get(path, headers=goods.seller(shop).header), 404, "not_found")
    assert items(shop, "/sellers/me/sales", goods.seller(shop).header) == []


def test_days_are_paged(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    days = [f"2001-01-0{n}" for n in range(1, 6)]
    for n, day in enumerate(days, start=1):
        shop.execute(
            "INSERT INTO seller_sales (seller_id, day, currency, orders, total_minor) VALUES ($1, $2, 'EUR', 1, 5),"
            " ($1, $2, 'USD', $3, 7)",
            seller.id,
            date.fromisoformat(day),
            n,
        )
        shop.execute(
            "INSERT INTO stock_history (variant_id, seller_id, location, day, on_hand, received)"
            " VALUES ($1, $2, 0, $3, $4, $4)",
            offer.variant_id,
            offer.seller_id,
            date.fromisoformat(day),
            n,
        )
    sold = paged(shop, "/sellers/me/sales", seller.header)
    assert [(each["day"], each["total"]["currency"]) for each in sold] == [
        (day, currency) for day in reversed(days) for currency in ("USD", "EUR")
    ]
    moved = paged(shop, f"/inventory/{offer.variant_id}/{offer.seller_id}/history", seller.header)
    old = [each for each in moved if each["day"] in days]
    assert [each["on_hand"] for each in old] == [15, 10, 6, 3, 1]
    # What isn't made of events would be found out by a rebuild.
    for table in ("seller_sales", "stock_history"):
        shop.execute(f"DELETE FROM {table} WHERE seller_id = $1 AND day < '2002-01-01'", seller.id)


def paged(shop: Shop, path: str, who: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        body = shop.http.get(path, params={"limit": 2, **cursor}, headers=who).json()
        found += body["items"]
        if body["next_cursor"] is None:
            return found
        cursor = {"cursor": body["next_cursor"]}
