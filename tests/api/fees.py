"""Commission over HTTP, as tests need it: rules for sellers of their own, and orders that cost their buyers nothing."""

from typing import Any
from uuid import UUID

import httpx

from domain.accounts.model import Role
from ops.goods import NewOffer
from tests.api.shop import Shop, bearer, line, wait
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)
RULES = "/pricing/commission-rules"


def send(shop: Shop, body: dict[str, Any], who: dict[str, str] = ADMIN) -> httpx.Response:
    return shop.http.post(RULES, json={"title": "A rule", **body}, headers=who)


def rule(shop: Shop, **content: Any) -> dict[str, Any]:
    """Make a rule; with ``seller``, one for that seller alone."""
    seller = content.pop("seller", None)
    if seller is not None:
        content = {"scope": {"sellers": [str(seller)]}} | content
    answer = send(shop, content)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def change(shop: Shop, made: dict[str, Any], **content: Any) -> httpx.Response:
    body = {"title": made["title"], "scope": made["scope"], "rate_bp": made["rate_bp"], **content}
    return shop.http.put(f"{RULES}/{made['id']}", json=body, headers=ADMIN)


def end(shop: Shop, made: dict[str, Any], **headers: str) -> httpx.Response:
    fields = ADMIN | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.delete(f"{RULES}/{made['id']}", headers=fields)


def looked_up(shop: Shop, made: dict[str, Any]) -> dict[str, Any]:
    answer = shop.http.get(f"{RULES}/{made['id']}", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ordered(shop: Shop, *offers: NewOffer, quantity: int = 1) -> str:
    """Place an order; return its id."""
    body = {"currency": "USD", "lines": [line(offer, quantity) for offer in offers]}
    answer = shop.http.post("/orders", json=body, headers=bearer() | wait())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def for_nothing(shop: Shop, *offers: NewOffer) -> None:
    """Have the platform pay for offers: whoever orders nothing else has the order confirmed."""
    scope = {"products": [str(offer.product_id) for offer in offers]}
    benefit = {"type": "percentage", "level": "line", "off_bp": 10_000}
    body = {"title": "All of it", "automatic": True, "scope": scope, "benefit": benefit}
    made = shop.http.post("/promotions", json=body, headers=ADMIN)
    assert made.status_code == 201, made.text
    answer = shop.http.post(f"/promotions/{made.json()['id']}/activate", headers=ADMIN)
    assert answer.status_code == 200, answer.text


def confirmed(shop: Shop, *offers: NewOffer, quantity: int = 1) -> str:
    """Place an order that :func:`for_nothing` makes free; return its id once its commission is worked out."""
    made = ordered(shop, *offers, quantity=quantity)
    query = "SELECT count(*) FROM commission_snapshots WHERE order_id = $1"
    eventually(lambda: shop.value(query, UUID(made)))
    return made


def of_order(shop: Shop, order_id: str, who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = shop.http.get(f"/orders/{order_id}/commission", headers=who)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}
