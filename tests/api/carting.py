"""Carts as tests fill them, over HTTP."""

from typing import Any

import httpx

from domain.accounts.model import Role
from ops.goods import NewOffer
from tests.api.shop import Shop, bearer, line, order, wait

ADMIN = bearer(Role.ADMIN)
Json = dict[str, Any]


def usd(amount: int) -> Json:
    return {"amount": amount, "currency": "USD"}


def reprice(shop: Shop, offer: NewOffer, amount: int) -> None:
    terms = {"sku": offer.sku, "price": usd(amount)}
    answer = shop.http.put(f"/offers/{offer.variant_id}/{offer.seller_id}", json=terms, headers=ADMIN)
    assert answer.status_code == 200, answer.text


def end(shop: Shop, offer: NewOffer) -> None:
    """Offer it no more."""
    answer = shop.http.delete(f"/offers/{offer.variant_id}/{offer.seller_id}", headers=ADMIN)
    assert answer.status_code == 204, answer.text


def taken(shop: Shop, offer: NewOffer, quantity: int = 1, **headers: str) -> Json:
    """Have somebody else order units; return the job."""
    answer = shop.http.post("/orders", json=order(offer, quantity=quantity), headers=bearer() | headers)
    assert answer.is_success, answer.text
    job: Json = answer.json()
    return job


def body(*offers: NewOffer, quantity: int = 1, **more: Any) -> Json:
    """What a cart with some units of each offer is sent as."""
    return {"currency": "USD", "lines": [line(offer, quantity) for offer in offers], **more}


def filled(shop: Shop, who: dict[str, str], *offers: NewOffer, **more: Any) -> Json:
    return begun(shop, who, body(*offers, **more))


def begun(shop: Shop, who: dict[str, str], content: Json) -> Json:
    answer = shop.http.post("/carts", json=content, headers=who)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    assert answer.headers["location"] == f"/carts/{made['id']}"
    return made


def replace(shop: Shop, who: dict[str, str], cart: Json, content: Json, **headers: str) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.put(f"/carts/{cart['id']}", json=content, headers=fields)


def shown(shop: Shop, who: dict[str, str], cart: Json) -> Json:
    answer = shop.http.get(f"/carts/{cart['id']}", headers=who)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    assert answer.headers["etag"] == f'"{found["version"]}"'
    return found


def check_out(shop: Shop, who: dict[str, str], cart: Json, wish: Json | None = None, **headers: str) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.post(f"/carts/{cart['id']}/checkout", json=wish, headers=fields)


def ordered(shop: Shop, who: dict[str, str], cart: Json, wish: Json | None = None) -> Json:
    """Check a cart out and wait until it is ordered; return the job."""
    answer = check_out(shop, who, cart, wish, **wait())
    assert answer.status_code == 200, answer.text
    job: Json = answer.json()
    return job


def events_of(shop: Shop, cart: Json) -> list[str]:
    """What happened to a cart; the versions count up from 1."""
    rows = shop.fetch("SELECT version, type FROM events WHERE stream = $1::uuid ORDER BY version", cart["id"])
    assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["type"] for row in rows]
