"""Promotions for tests, made over HTTP, and orders that use them."""

from typing import Any

import httpx

from domain.accounts.model import Role
from ops.goods import NewOffer
from tests.api.goods import Seller
from tests.api.shop import Shop, bearer, line, wait

ADMIN = bearer(Role.ADMIN)


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def percent(off_bp: int, level: str = "order", **more: Any) -> dict[str, Any]:
    return {"type": "percentage", "level": level, "off_bp": off_bp, **more}


def off(amount: int, level: str = "order") -> dict[str, Any]:
    return {"type": "fixed", "level": level, "amount": usd(amount)}


def about(*offers: NewOffer) -> dict[str, Any]:
    """The scope of some offers' variants alone: tests share a shop."""
    return {"variants": [str(offer.variant_id) for offer in offers]}


def content(*offers: NewOffer, benefit: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"title": "A promotion", "benefit": benefit or percent(1_000), "scope": about(*offers), **more}


def draft(shop: Shop, body: dict[str, Any], who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = shop.http.post("/promotions", json=body, headers=who)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def step(shop: Shop, promotion: dict[str, Any], way: str, who: dict[str, str] = ADMIN, **headers: str) -> Any:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.post(f"/promotions/{promotion['id']}/{way}", headers=fields)


def stepped(shop: Shop, promotion: dict[str, Any], way: str, who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = step(shop, promotion, way, who)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def active(shop: Shop, body: dict[str, Any], who: dict[str, str] = ADMIN) -> dict[str, Any]:
    return stepped(shop, draft(shop, body, who), "activate", who)


def put(
    shop: Shop, promotion: dict[str, Any], body: Any, who: dict[str, str] = ADMIN, **headers: str
) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.put(f"/promotions/{promotion['id']}", json=body, headers=fields)


def edited(shop: Shop, promotion: dict[str, Any], who: dict[str, str] = ADMIN, **changes: Any) -> dict[str, Any]:
    answer = put(shop, promotion, promotion["content"] | changes, who)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def ask_for_codes(shop: Shop, promotion: dict[str, Any], body: Any, who: dict[str, str] = ADMIN) -> httpx.Response:
    return shop.http.post(f"/promotions/{promotion['id']}/codes", json=body, headers=who | wait())


def with_codes(shop: Shop, promotion: dict[str, Any], *codes: str, who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = ask_for_codes(shop, promotion, {"codes": list(codes)}, who)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {"promotion_id": promotion["id"], "made": len(codes)}
    return promotion


def coded(shop: Shop, code: str, body: dict[str, Any], who: dict[str, str] = ADMIN) -> dict[str, Any]:
    """An active promotion that a code brings."""
    return with_codes(shop, active(shop, body, who), code, who=who)


def usage(shop: Shop, promotion: dict[str, Any], who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = shop.http.get(f"/promotions/{promotion['id']}/usage", headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def order_with(*offers: NewOffer, codes: tuple[str, ...] = (), quantity: int = 1, **more: Any) -> dict[str, Any]:
    lines = [line(offer, quantity) for offer in offers]
    return {"currency": "USD", "lines": lines, **({"codes": list(codes)} if codes else {}), **more}


def ordered(shop: Shop, body: dict[str, Any], buyer: dict[str, str]) -> httpx.Response:
    return shop.http.post("/orders", json=body, headers=buyer | wait())


def placed(shop: Shop, body: dict[str, Any], buyer: dict[str, str]) -> dict[str, Any]:
    """Place an order; return it as its buyer sees it."""
    answer = ordered(shop, body, buyer)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = shop.http.get(answer.json()["links"]["order"], headers=buyer).json()
    return found


def amounts(price: dict[str, Any], *names: str) -> tuple[int, ...]:
    return tuple(price[name]["amount"] for name in names)


def seller_offer(shop: Shop, seller: Seller) -> NewOffer:
    return shop.offer_of(seller.id)
