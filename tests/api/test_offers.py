"""Offers over HTTP: put, changed, ended by their sellers; shown to everyone while they may be ordered."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain import ids
from domain.accounts.model import Role
from infra.clock import new_id
from ops.goods import NewOffer
from tests.api.shop import Shop, assert_problem, bearer, line, wait

ADMIN = bearer(Role.ADMIN)
NEW_SELLER = "INSERT INTO sellers (id, name, status) VALUES ($1, 'Second Spring', $2)"
NEW_VARIANT = "INSERT INTO variants (id, product_id, attributes) VALUES ($1, $2, jsonb_build_object('n', $3::text))"
EVENTS = "SELECT version, type, actor, correlation FROM events WHERE stream = $1 ORDER BY version"


def terms(sku: str = "", amount: int = 1500, currency: str = "USD", **more: Any) -> dict[str, Any]:
    return {"sku": sku or new_id().hex, "price": {"amount": amount, "currency": currency}, **more}


def member(shop: Shop, seller_id: UUID) -> dict[str, str]:
    """The header of an account that acts for a seller."""
    return bearer(Role.SELLER, subject=shop.member(seller_id))


def new_seller(shop: Shop, status: str = "approved") -> UUID:
    seller = new_id()
    shop.execute(NEW_SELLER, seller, status)
    return seller


def new_variant(shop: Shop, offer: NewOffer) -> UUID:
    """Another variant of an offer's product, which nobody offers yet."""
    variant = new_id()
    shop.execute(NEW_VARIANT, variant, offer.product_id, variant.hex)
    return variant


def put(
    shop: Shop, variant: UUID, seller: UUID, who: dict[str, str], body: Any = None, **headers: str
) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.put(f"/offers/{variant}/{seller}", json=terms() if body is None else body, headers=fields)


def end(shop: Shop, variant: UUID, seller: UUID, who: dict[str, str], **headers: str) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.delete(f"/offers/{variant}/{seller}", headers=fields)


def listed(shop: Shop, variant: UUID, who: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
    answer = shop.http.get(f"/variants/{variant}/offers", params=query, headers=who or {})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def sellers_of(page: dict[str, Any]) -> list[UUID]:
    return [UUID(item["seller"]["id"]) for item in page["items"]]


def order_of(shop: Shop, offer: Any, **headers: str) -> httpx.Response:
    body = {"currency": "USD", "lines": [line(offer)]}
    return shop.http.post("/orders", json=body, headers=bearer() | wait())


# --- Putting ----------------------------------------------------------------------------------------------------


def test_a_seller_offers_a_variant_of_its_own(shop: Shop):
    (offer,) = shop.offers()
    variant = new_variant(shop, offer)
    account = shop.member(offer.seller_id)
    who = bearer(Role.SELLER, subject=account)
    body = terms(quantity_max=3, quantity_window_seconds=86_400)
    answer = put(shop, variant, offer.seller_id, who, body, X_Request_ID="r1")
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/offers/{variant}/{offer.seller_id}"
    assert answer.headers["etag"] == '"1"'
    view = answer.json()
    assert view == {
        "variant_id": str(variant),
        "seller": {"id": str(offer.seller_id), "name": "Seller 0"},
        **body,
        "in_stock": False,
        "sellable": True,
        "active": True,
        "valid_from": None,
        "valid_until": None,
        "version": 1,
    }
    (event,) = shop.fetch(EVENTS, ids.offer_stream(variant, offer.seller_id))
    assert tuple(event) == (1, "offer.created", account, "r1")


def test_an_offer_has_its_stock_row_from_the_start(shop: Shop):
    (offer,) = shop.offers()
    variant = new_variant(shop, offer)
    assert put(shop, variant, offer.seller_id, member(shop, offer.seller_id)).status_code == 201
    rows = shop.fetch("SELECT on_hand, reserved, backorder_limit FROM stock WHERE variant_id = $1", variant)
    assert [tuple(row) for row in rows] == [(0, 0, 0)]
    assert shop.value("SELECT count(*) FROM catalog_changes WHERE thing = $1", offer.product_id) == 1


def test_another_price_is_a_change_of_one_version_and_the_same_terms_are_none(shop: Shop):
    (offer,) = shop.offers(price=1000)
    who, key = member(shop, offer.seller_id), (offer.variant_id, offer.seller_id)
    for _ in range(2):
        answer = put(shop, *key, who, terms(offer.sku, 900))
        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
        assert answer.json()["price"] == {"amount": 900, "currency": "USD"}
    answer = put(shop, *key, who, terms(offer.sku, 900, "EUR"))
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    rows = shop.fetch(EVENTS, ids.offer_stream(*key))
    assert [row["type"] for row in rows] == ["offer.created", "offer.price_changed", "offer.changed"]


def test_what_is_not_named_has_its_default(shop: Shop):
    (offer,) = shop.offers()
    who, key = member(shop, offer.seller_id), (offer.variant_id, offer.seller_id)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert put(shop, *key, who, terms("A1", quantity_max=2, valid_until=later, active=False)).status_code == 200
    view = put(shop, *key, who, terms("A1")).json()
    assert (view["quantity_max"], view["valid_until"], view["active"], view["version"]) == (None, None, True, 3)


def test_another_approved_seller_offers_what_is_active_and_nothing_else(shop: Shop):
    (offer,) = shop.offers()
    seller = new_seller(shop)
    who = member(shop, seller)
    hidden, shown = new_variant(shop, offer), new_variant(shop, offer)
    shop.execute("UPDATE variants SET active = false WHERE id = $1", hidden)
    assert_problem(put(shop, hidden, seller, who), 404, "not_found")
    assert put(shop, shown, seller, who).status_code == 201
    shop.execute("UPDATE products SET status = 'inactive' WHERE id = $1", offer.product_id)
    assert_problem(put(shop, offer.variant_id, seller, who), 404, "not_found")
    assert put(shop, shown, seller, who).status_code == 200, "its own offer stays its to change"


@pytest.mark.parametrize("status", ["draft", "pending_approval", "approved", "rejected", "inactive"])
def test_a_seller_prepares_offers_of_its_own_product_in_any_state(shop: Shop, status: str):
    (offer,) = shop.offers()
    variant = new_variant(shop, offer)
    shop.execute("UPDATE products SET status = $2 WHERE id = $1", offer.product_id, status)
    answer = put(shop, variant, offer.seller_id, member(shop, offer.seller_id))
    assert (answer.status_code, answer.json()["sellable"]) == (201, False)


def test_nobody_offers_what_is_archived_or_not_there(shop: Shop):
    (offer,) = shop.offers()
    who, variant = member(shop, offer.seller_id), new_variant(shop, offer)
    shop.execute("UPDATE products SET status = 'archived' WHERE id = $1", offer.product_id)
    assert_problem(put(shop, variant, offer.seller_id, who), 404, "not_found")
    assert_problem(put(shop, new_id(), offer.seller_id, who), 404, "not_found")
    assert_problem(put(shop, variant, offer.seller_id, ADMIN), 404, "not_found")


def test_an_offer_is_its_sellers_and_an_admins(shop: Shop):
    (offer,) = shop.offers()
    key = (offer.variant_id, offer.seller_id)
    stranger = member(shop, new_seller(shop))
    for send in (put, end):
        assert_problem(send(shop, *key, {}), 401, "unauthenticated")
        assert_problem(send(shop, *key, bearer()), 403, "forbidden")
        assert_problem(send(shop, *key, bearer(Role.SELLER)), 403, "forbidden")
        assert_problem(send(shop, *key, stranger), 404, "not_found")
    assert put(shop, *key, ADMIN).status_code == 200
    assert end(shop, *key, ADMIN).status_code == 204


@pytest.mark.parametrize("status", ["applied", "rejected", "suspended"])
def test_only_an_approved_seller_offers_anything(shop: Shop, status: str):
    (offer,) = shop.offers()
    seller = new_seller(shop, status)
    assert_problem(put(shop, offer.variant_id, seller, member(shop, seller)), 403, "forbidden")
    assert status in assert_problem(put(shop, offer.variant_id, seller, ADMIN), 409, "conflict")["detail"]


def test_an_admin_offers_for_a_seller_that_is_there(shop: Shop):
    (offer,) = shop.offers()
    assert_problem(put(shop, offer.variant_id, new_id(), ADMIN), 404, "not_found")
    assert put(shop, offer.variant_id, new_seller(shop), ADMIN).status_code == 201


# --- SKUs -------------------------------------------------------------------------------------------------------


def test_a_sku_belongs_to_one_offer_of_a_seller_also_when_that_has_ended(shop: Shop):
    first, other = shop.offers(offers=2)
    who, variant = member(shop, first.seller_id), new_variant(shop, first)
    assert end(shop, first.variant_id, first.seller_id, who).status_code == 204
    body = terms(first.sku)
    assert_problem(put(shop, variant, first.seller_id, who, body), 409, "duplicate_sku", "sku")
    assert put(shop, variant, first.seller_id, who).status_code == 201
    assert_problem(put(shop, variant, first.seller_id, who, body), 409, "duplicate_sku", "sku")
    free = terms(f"{first.sku}-old", active=False)
    assert put(shop, first.variant_id, first.seller_id, who, free).status_code == 200
    assert put(shop, variant, first.seller_id, who, body).json()["sku"] == first.sku
    stranger = new_seller(shop)
    assert put(shop, other.variant_id, stranger, member(shop, stranger), terms(other.sku)).status_code == 201


async def _at_once(shop: Shop, requests: list[tuple[UUID, UUID, dict[str, Any]]]) -> list[int]:
    async with httpx.AsyncClient(verify=False, timeout=30) as client:
        answers = await asyncio.gather(
            *(
                client.put(f"{shop.urls[n % 2]}/offers/{variant}/{seller}", json=body, headers=ADMIN)
                for n, (variant, seller, body) in enumerate(requests)
            )
        )
    return sorted(answer.status_code for answer in answers)


def test_one_sku_wanted_for_several_products_at_once_goes_to_one(shop: Shop):
    offers = shop.offers(offers=6, sellers=6)
    seller, body = new_seller(shop), terms()
    statuses = asyncio.run(_at_once(shop, [(offer.variant_id, seller, body) for offer in offers]))
    assert statuses == [201] + [409] * 5


def test_an_offer_put_several_times_at_once_is_made_once(shop: Shop):
    (offer,) = shop.offers()
    seller, body = new_seller(shop), terms()
    statuses = asyncio.run(_at_once(shop, [(offer.variant_id, seller, body)] * 8))
    assert statuses == [200] * 7 + [201]
    assert len(shop.fetch(EVENTS, ids.offer_stream(offer.variant_id, seller))) == 1


# --- Versions and the end ---------------------------------------------------------------------------------------


def test_an_edit_of_a_version_that_is_gone_changes_nothing(shop: Shop):
    (offer,) = shop.offers()
    who, key = member(shop, offer.seller_id), (offer.variant_id, offer.seller_id)
    assert put(shop, *key, who, terms("B1"), If_Match='"1"').status_code == 200
    answer = put(shop, *key, who, terms("B2"), If_Match='"1"')
    assert_problem(answer, 412, "stale_version", "If-Match")
    assert answer.headers["etag"] == '"2"'
    assert_problem(end(shop, *key, who, If_Match='"1"'), 412, "stale_version", "If-Match")
    assert_problem(put(shop, *key, who, If_Match="2"), 400, "invalid_request", "If-Match")
    assert shop.value("SELECT sku FROM offers WHERE variant_id = $1", offer.variant_id) == "B1"
    assert_problem(
        put(shop, new_variant(shop, offer), offer.seller_id, who, If_Match='"1"'), 412, "stale_version", "If-Match"
    )


def test_an_ended_offer_stays_and_can_be_put_again(shop: Shop):
    (offer,) = shop.offers()
    who, key = member(shop, offer.seller_id), (offer.variant_id, offer.seller_id)
    for _ in range(2):
        answer = end(shop, *key, who)
        assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(order_of(shop, offer), 409, "offer_unavailable", "lines[0]")
    assert put(shop, *key, who, terms(offer.sku)).json()["sellable"] is True
    rows = shop.fetch(EVENTS, ids.offer_stream(*key))
    assert [(row["version"], row["type"]) for row in rows] == [
        (1, "offer.created"),
        (2, "offer.ended"),
        (3, "offer.changed"),
    ]
    assert_problem(end(shop, new_variant(shop, offer), offer.seller_id, who), 404, "not_found")


# --- Bad input --------------------------------------------------------------------------------------------------

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
BAD = [
    ({"sku": ""}, "sku"),
    ({"sku": " A"}, "sku"),
    ({"sku": "A\n"}, "sku"),
    ({"sku": "A" * 101}, "sku"),
    ({"sku": "A\0B"}, "sku"),
    ({"price": {"amount": -1, "currency": "USD"}}, "price.amount"),
    ({"price": {"amount": 1.5, "currency": "USD"}}, "price.amount"),
    ({"price": {"amount": 1, "currency": "usd"}}, "price.currency"),
    ({"price": {"amount": 1}}, "price.currency"),
    ({"active": None}, "active"),
    ({"valid_from": "tomorrow"}, "valid_from"),
    ({"valid_from": "2026-11-23T00:00:00"}, "valid_from"),
    ({"valid_from": "0001-01-01T00:00:00+14:00"}, "valid_from"),
    ({"valid_until": "9999-12-31T23:59:59-14:00"}, "valid_until"),
    ({"valid_from": TOMORROW, "valid_until": TOMORROW}, "valid_until"),
    ({"quantity_max": 0}, "quantity_max"),
    ({"quantity_max": 10**12}, "quantity_max"),
    ({"quantity_window_seconds": 60}, "quantity_window_seconds"),
    ({"quantity_max": 1, "quantity_window_seconds": 0}, "quantity_window_seconds"),
    ({"seller_id": str(new_id())}, "seller_id"),
    ({"version": 7}, "version"),
]


@pytest.mark.parametrize(("change", "path"), BAD, ids=[f"{path} {n}" for n, (_, path) in enumerate(BAD)])
def test_terms_that_cannot_be_are_refused_with_their_place(shop: Shop, change: dict[str, Any], path: str):
    (offer,) = shop.offers()
    answer = put(shop, offer.variant_id, offer.seller_id, ADMIN, terms() | change)
    assert_problem(answer, 400, "invalid_request", path)
    assert shop.value("SELECT version FROM offers WHERE variant_id = $1", offer.variant_id) == 1


def test_the_earliest_and_the_latest_moments_are_taken(shop: Shop):
    (offer,) = shop.offers()
    moments = {"valid_from": "1970-01-01T00:00:00Z", "valid_until": "2999-12-31T23:59:59.999999Z"}
    view = put(shop, offer.variant_id, offer.seller_id, ADMIN, terms() | moments).json()
    assert view | moments == view


# --- Validity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "ends", "sold"), [(-1, 1, True), (1, 2, False), (-2, -1, False), (None, 1, True), (-1, None, True)]
)
def test_an_offer_is_ordered_while_it_holds(shop: Shop, begins: int | None, ends: int | None, sold: bool):
    (offer,) = shop.offers()
    names = {"valid_from": begins, "valid_until": ends}
    moments = {k: (datetime.now(UTC) + timedelta(hours=h)).isoformat() for k, h in names.items() if h is not None}
    view = put(shop, offer.variant_id, offer.seller_id, ADMIN, terms(offer.sku) | moments).json()
    assert view["sellable"] is sold
    assert sellers_of(listed(shop, offer.variant_id)) == [offer.seller_id] * sold
    answer = order_of(shop, offer)
    if sold:
        assert answer.status_code == 200, answer.text
    else:
        assert_problem(answer, 409, "offer_unavailable", "lines[0]")


# --- Lists ------------------------------------------------------------------------------------------------------


def _four(shop: Shop) -> tuple[NewOffer, list[UUID]]:
    """A variant that four sellers offer besides its own, at two prices and in two currencies; in the list's order."""
    (offer,) = shop.offers(price=700)
    found = []
    for amount, currency in ((500, "EUR"), (600, "USD"), (700, "USD"), (900, "USD")):
        found.append((currency, amount, new_seller(shop)))
        assert put(shop, offer.variant_id, found[-1][2], ADMIN, terms("", amount, currency)).status_code == 201
    found.append(("USD", 700, offer.seller_id))
    return offer, [seller for _, _, seller in sorted(found)]


def test_offers_are_listed_the_cheapest_first_in_pages(shop: Shop):
    offer, sellers = _four(shop)
    assert sellers_of(listed(shop, offer.variant_id)) == sellers
    seen, cursor = [], {}
    for _ in range(3):
        page = listed(shop, offer.variant_id, limit=2, **cursor)
        seen += sellers_of(page)
        cursor = {"cursor": page["next_cursor"]}
    assert (seen, cursor["cursor"]) == (sellers, None)


def test_the_list_tells_that_there_is_stock_and_not_how_much(shop: Shop):
    (offer,) = shop.offers(units=1)
    (item,) = listed(shop, offer.variant_id)["items"]
    assert item["in_stock"] is True
    assert "available" not in item
    assert order_of(shop, offer).status_code == 200
    assert listed(shop, offer.variant_id)["items"][0]["in_stock"] is False


def test_what_is_not_for_sale_is_seen_by_its_seller_and_admins_alone(shop: Shop):
    offer, sellers = _four(shop)
    hidden = sellers[1]
    assert end(shop, offer.variant_id, hidden, ADMIN).status_code == 204
    shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", sellers[2])
    shown = [seller for seller in sellers if seller not in sellers[1:3]]
    for who in ({}, bearer(), member(shop, sellers[0]), bearer(Role.SELLER)):
        assert sellers_of(listed(shop, offer.variant_id, who)) == shown
    assert sellers_of(listed(shop, offer.variant_id, member(shop, hidden))) == sellers[:2] + sellers[3:]
    assert sellers_of(listed(shop, offer.variant_id, ADMIN)) == sellers


def test_a_variant_that_is_not_shown_has_no_list_but_for_those_it_belongs_to(shop: Shop):
    (offer,) = shop.offers()
    seller = new_seller(shop)
    assert put(shop, offer.variant_id, seller, ADMIN).status_code == 201
    shop.execute("UPDATE products SET status = 'inactive' WHERE id = $1", offer.product_id)
    path = f"/variants/{offer.variant_id}/offers"
    for who in ({}, bearer(), member(shop, new_seller(shop))):
        assert_problem(shop.http.get(path, headers=who), 404, "not_found")
    assert sellers_of(listed(shop, offer.variant_id, member(shop, seller))) == [seller]
    assert sellers_of(listed(shop, offer.variant_id, member(shop, offer.seller_id))) == [offer.seller_id]
    assert_problem(shop.http.get(f"/variants/{new_id()}/offers", headers=ADMIN), 404, "not_found")


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "cursor=WyJVU0QiLDFd", "cursor=" + "A" * 3000])
def test_a_page_that_cannot_be_is_refused(shop: Shop, query: str):
    (offer,) = shop.offers()
    answer = shop.http.get(f"/variants/{offer.variant_id}/offers?{query}")
    assert_problem(answer, 400, "invalid_request", query.partition("=")[0])
