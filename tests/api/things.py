"""What the paths of routes name, made for whoever is to own it, and bodies to send there.

Every route has an entry in ``ENTRIES``: without one, its line of ``docs/access.md`` can't be tested.
"""

import hashlib
import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.model import Position, Role
from infra.clock import new_id
from ops.goods import NewOffer
from tests.api import people, tree
from tests.api.principals import NEW_SELLER, Persona
from tests.api.shop import Shop, bearer, line, order, wait

Named = dict[str, str]
"""What stands in a path, by the names of its parameters."""
NEW_SESSION = "INSERT INTO sessions (id, account_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')"
NEW_REFRESH = "INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')"
HIDE_VARIANT = "UPDATE variants SET active = false WHERE id = $1"
HIDE_PRODUCT = "UPDATE products SET status = 'inactive' WHERE id = $1"
SUBMITTED_PRODUCT = "UPDATE products SET status = 'pending_approval' WHERE id = $1"
NEW_PROMOTION = """
INSERT INTO promotions (id, seller_id, state, content, created_at, updated_at) VALUES ($1, $2, $3, $4, now(), now())
"""
QUIET_LANE = "pricing"
"""A lane in which nothing waits that these tests wait for."""
_numbers = itertools.count(1)


Make = Callable[["Things", Persona], Named]


class Things:
    """Makes things in a shop. What a test may use up is made anew; orders, which none uses up, once for each owner."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.email = people.register(shop)
        (self.on_sale,) = shop.offers(units=100_000)
        self._orders: dict[UUID, str] = {}
        self._some: dict[tuple[Make, Persona], Named] = {}

    def some(self, make: Make, owner: Persona) -> Named:
        """A thing that is asked for and never used: the same one each time."""
        if (make, owner) not in self._some:
            self._some[make, owner] = make(self, owner)
        return self._some[make, owner]

    def order(self, owner: Persona) -> Named:
        return {"order_id": self._order(owner)}

    def job(self, owner: Persona) -> Named:
        """A job that has ended, so that whoever follows it is answered at once."""
        return {"job_id": self._order(owner)}

    def fresh_order(self, owner: Persona) -> Named:
        """One that stands on the first page of a list."""
        self._orders.pop(owner.id, None)
        return self.order(owner)

    def _order(self, owner: Persona) -> str:
        if owner.id not in self._orders:
            who = bearer(Role.BUYER, subject=owner.id)
            answer = self.shop.http.post("/orders", json=order(self.on_sale), headers=who | wait())
            assert answer.status_code == 200, answer.text
            self._orders[owner.id] = answer.json()["id"]
        return self._orders[owner.id]

    def cart(self, owner: Persona) -> Named:
        answer = self.shop.http.post("/carts", json=order(self.on_sale), headers=bearer(subject=owner.id))
        assert answer.status_code == 201, answer.text
        return {"cart_id": answer.json()["id"]}

    def order_of_ones_goods(self, owner: Persona) -> Named:
        answer = self.shop.http.post("/orders", json=order(self._offered(owner)), headers=bearer(Role.BUYER) | wait())
        assert answer.status_code == 200, answer.text
        return {"order_id": answer.json()["id"]}

    def hold(self, owner: Persona) -> Named:
        return self._hold(self.on_sale, owner.id)

    def hold_of_ones_stock(self, owner: Persona) -> Named:
        return self._hold(self._offered(owner), new_id())

    def _hold(self, offer: NewOffer, owner: UUID) -> Named:
        who = bearer(Role.BUYER, subject=owner)
        answer = self.shop.http.post("/inventory/reserve", json=line(offer), headers=who | wait())
        assert answer.status_code == 200, answer.text
        return {"reservation_id": answer.json()["result"]["reservations"][0]["id"]}

    def commission_rule(self, _: Persona) -> Named:
        body = {"title": "A rule", "valid_from": "2900-01-01T00:00:00Z"}
        answer = self.shop.http.post("/pricing/commission-rules", json=body, headers=bearer(Role.ADMIN))
        assert answer.status_code == 201, answer.text
        return {"rule_id": answer.json()["id"]}

    def address(self, owner: Persona) -> Named:
        return {"address_id": self._post("/addresses", ADDRESS, owner)}

    def api_key(self, owner: Persona) -> Named:
        return {"key_id": self._post("/api-keys", {"name": "a test", "scopes": ["jobs:read"]}, owner)}

    def _post(self, path: str, body: Any, owner: Persona) -> str:
        answer = self.shop.http.post(path, json=body, headers=bearer(subject=owner.id))
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["id"]
        return made

    def session(self, owner: Persona) -> Named:
        session = new_id()
        self.shop.execute(NEW_SESSION, session, owner.id)
        return {"session_id": str(session)}

    def account(self, _: Persona) -> Named:
        return {"account_id": str(self.shop.account())}

    def seller(self, _: Persona) -> Named:
        seller = new_id()
        self.shop.execute(NEW_SELLER, seller)
        return {"seller_id": str(seller)}

    def member(self, owner: Persona) -> Named:
        assert owner.seller_id is not None
        return {"account_id": str(self.shop.member(owner.seller_id, Position.STAFF))}

    def category(self, _: Persona) -> Named:
        return {"category_id": tree.category(self.shop)["id"]}

    def attribute(self, _: Persona) -> Named:
        return {"attribute_id": tree.attribute(self.shop)["id"]}

    def assignment(self, _: Persona) -> Named:
        asking = tree.category(self.shop)
        return {"category_id": asking["id"], "attribute_id": tree.attribute(self.shop, asking)["id"]}

    def offer(self, owner: Persona) -> Named:
        made = self._offered(owner)
        return {"variant_id": str(made.variant_id), "seller_id": str(made.seller_id)}

    def variant(self, owner: Persona) -> Named:
        return {"variant_id": str(self._offered(owner).variant_id)}

    def hidden_variant(self, owner: Persona) -> Named:
        named = self.variant(owner)
        self.shop.execute(HIDE_VARIANT, named["variant_id"])
        return named

    def product(self, owner: Persona) -> Named:
        return {"product_id": str(self._offered(owner).product_id)}

    def hidden_product(self, owner: Persona) -> Named:
        named = self.product(owner)
        self.shop.execute(HIDE_PRODUCT, named["product_id"])
        return named

    def submitted_product(self, owner: Persona) -> Named:
        named = self.product(owner)
        self.shop.execute(SUBMITTED_PRODUCT, named["product_id"])
        return named

    def slug(self, owner: Persona) -> Named:
        return {"slug": self._slug(self.product(owner))}

    def hidden_slug(self, owner: Persona) -> Named:
        return {"slug": self._slug(self.hidden_product(owner))}

    def _slug(self, named: Named) -> str:
        return str(self.shop.value("SELECT slug FROM products WHERE id = $1", named["product_id"]))

    def _offered(self, owner: Persona) -> NewOffer:
        assert owner.seller_id is not None
        return self.shop.offer_of(owner.seller_id)

    def promotion(self, owner: Persona) -> Named:
        return self._promotion(owner, "draft")

    def active_promotion(self, owner: Persona) -> Named:
        return self._promotion(owner, "active")

    def _promotion(self, owner: Persona, state: str) -> Named:
        promotion, content = new_id(), msgspec.json.encode(PROMOTION).decode()
        self.shop.execute(NEW_PROMOTION, promotion, owner.seller_id, state, content)
        return {"promotion_id": str(promotion)}

    def lane(self, _: Persona) -> Named:
        return {"lane": QUIET_LANE}

    def sweep(self, _: Persona) -> Named:
        return {"job": "expire_reservations"}

    def refresh_token(self) -> str:
        """The current refresh token of a session of its own."""
        token, session = f"token {next(_numbers)}", new_id()
        self.shop.execute(NEW_SESSION, session, self.shop.account())
        self.shop.execute(NEW_REFRESH, hashlib.sha256(token.encode()).digest(), session)
        return token


COMMISSION = {"title": "A rule", "rate_bp": 1000, "valid_until": "2020-01-01T00:00:00Z"}
"""A rule that has ended: orders of other tests pay nothing by it."""
ADDRESS = {"name": "A", "line1": "B", "city": "C", "country": "DE"}
PROMOTION = {"title": "T", "benefit": {"type": "percentage", "level": "line", "off_bp": 100}, "funding": "seller"}
WEAK, NO_LINK = "short", "no link of ours"


def _order(things: Things) -> Any:
    return order(things.on_sale) | {"email": things.email}


def _cart(things: Things) -> Any:
    return order(things.on_sale)


def _category(_: Things) -> Any:
    return {"name": tree.a_name()}


def _attribute(_: Things) -> Any:
    return {"code": tree.a_code(), "name": "An attribute", "kind": "text"}


def _offer_terms(_: Things) -> Any:
    return {"sku": new_id().hex, "price": {"amount": 1500, "currency": "USD"}}


def _preview(things: Things) -> Any:
    return {"offer": {"variant_id": str(things.on_sale.variant_id), "seller_id": str(things.on_sale.seller_id)}}


def _credentials(things: Things) -> Any:
    return {"email": things.email, "password": people.PASSWORD}


def _refresh_token(things: Things) -> Any:
    return {"refresh_token": things.refresh_token()}


class Entry(Struct, frozen=True):
    """How a route is tested: what its path names, the same but hidden from others, and a body that it takes.

    ``thing`` is also what a route without parameters lists.
    """

    thing: Make | None = None
    body: Callable[[Things], Any] | Any = None
    hidden: Make | None = None


# What would end who asks, or make something else of them, gets a body that fails by its content.
ENTRIES = {
    "POST /orders": Entry(body=_order),
    "POST /orders/quote": Entry(body=_order),
    "GET /orders": Entry(Things.fresh_order),
    "GET /orders/{order_id}": Entry(Things.order),
    "GET /orders/{order_id}/timeline": Entry(Things.order),
    "POST /orders/{order_id}/notes": Entry(Things.order_of_ones_goods, {"text": "a test"}),
    "GET /orders/{order_id}/notes": Entry(Things.order_of_ones_goods),
    "POST /orders/{order_id}/cancel": Entry(Things.order),
    "POST /orders/{order_id}/payment": Entry(Things.fresh_order, body={"gateway": "sandbox", "token": "tok_ok"}),
    "POST /orders/{order_id}/confirm-payment": Entry(Things.order),
    "POST /orders/{order_id}/capture": Entry(Things.order),
    "GET /carts": Entry(Things.cart),
    "POST /carts": Entry(body={"currency": "USD"}),
    "GET /carts/{cart_id}": Entry(Things.cart),
    "PUT /carts/{cart_id}": Entry(Things.cart, {"currency": "USD"}),
    "DELETE /carts/{cart_id}": Entry(Things.cart),
    "POST /carts/{cart_id}/checkout": Entry(Things.cart, {"email": "a@example.com"}),
    "GET /promotions": Entry(Things.promotion),
    "POST /promotions": Entry(body=PROMOTION),
    "GET /promotions/{promotion_id}": Entry(Things.promotion),
    "PUT /promotions/{promotion_id}": Entry(Things.promotion, PROMOTION),
    "POST /promotions/{promotion_id}/activate": Entry(Things.promotion),
    "POST /promotions/{promotion_id}/pause": Entry(Things.active_promotion),
    "POST /promotions/{promotion_id}/end": Entry(Things.active_promotion),
    "GET /promotions/{promotion_id}/usage": Entry(Things.promotion),
    "GET /promotions/{promotion_id}/redemptions": Entry(Things.promotion),
    "GET /promotions/{promotion_id}/codes": Entry(Things.promotion),
    "POST /promotions/{promotion_id}/codes": Entry(Things.promotion, {"count": 1}),
    "GET /jobs": Entry(Things.fresh_order),
    "GET /jobs/{job_id}": Entry(Things.job),
    "GET /jobs/{job_id}/events": Entry(Things.job),
    "POST /jobs/{job_id}/cancel": Entry(Things.job),
    "POST /jobs/{job_id}/retry": Entry(Things.job),
    "GET /categories": Entry(),
    "POST /categories": Entry(body=_category),
    "GET /categories/{category_id}": Entry(Things.category),
    "PUT /categories/{category_id}": Entry(Things.category, _category),
    "DELETE /categories/{category_id}": Entry(Things.category),
    "GET /categories/{category_id}/schema": Entry(Things.category),
    "POST /categories/{category_id}/move": Entry(Things.category, {"parent_id": None}),
    "PUT /categories/{category_id}/attributes/{attribute_id}": Entry(Things.assignment, {"position": 1}),
    "DELETE /categories/{category_id}/attributes/{attribute_id}": Entry(Things.assignment),
    "GET /attributes": Entry(),
    "POST /attributes": Entry(body=_attribute),
    "GET /attributes/{attribute_id}": Entry(Things.attribute),
    "PUT /attributes/{attribute_id}": Entry(Things.attribute, _attribute),
    "DELETE /attributes/{attribute_id}": Entry(Things.attribute),
    "GET /products": Entry(),
    "GET /products/{product_id}": Entry(Things.product, hidden=Things.hidden_product),
    "GET /products/by-slug/{slug}": Entry(Things.slug, hidden=Things.hidden_slug),
    "GET /products/{product_id}/history": Entry(Things.product),
    "POST /products": Entry(body={"title": "A thing"}),
    "PUT /products/{product_id}": Entry(Things.product, {"title": "Another thing"}),
    "PATCH /products/{product_id}": Entry(Things.product, {"title": "Another thing"}),
    "POST /products/{product_id}/submit": Entry(Things.product),
    "POST /products/{product_id}/approve": Entry(Things.submitted_product, {"approve": True}),
    "POST /products/{product_id}/activate": Entry(Things.hidden_product),
    "POST /products/{product_id}/deactivate": Entry(Things.product),
    "POST /products/{product_id}/archive": Entry(Things.hidden_product),
    "POST /products/{product_id}/variants/generate": Entry(Things.product),
    "GET /variants/{variant_id}": Entry(Things.variant, hidden=Things.hidden_variant),
    "PATCH /variants/{variant_id}": Entry(Things.variant, {"weight_grams": 100}),
    "GET /variants/{variant_id}/offers": Entry(Things.variant, hidden=Things.hidden_variant),
    "PUT /offers/{variant_id}/{seller_id}": Entry(Things.offer, _offer_terms),
    "DELETE /offers/{variant_id}/{seller_id}": Entry(Things.offer),
    "GET /inventory/{variant_id}/{seller_id}": Entry(Things.offer),
    "PUT /inventory/{variant_id}/{seller_id}/stock": Entry(Things.offer, {"reason": "counted", "on_hand": 5}),
    "PUT /inventory/{variant_id}/{seller_id}/threshold": Entry(Things.offer, {"threshold": 5}),
    "POST /inventory/stock/bulk": Entry(
        body={"reason": "counted", "items": [{"variant_id": str(new_id()), "on_hand": 5}]}
    ),
    "POST /inventory/reserve": Entry(body=lambda things: line(things.on_sale)),
    "POST /inventory/release/{reservation_id}": Entry(Things.hold),
    "POST /inventory/extend/{reservation_id}": Entry(Things.hold),
    "POST /inventory/confirm/{reservation_id}": Entry(Things.hold_of_ones_stock),
    "GET /inventory/movements": Entry(Things.variant),
    "POST /auth/register": Entry(body={"email": "a@example.com", "password": WEAK}),
    "POST /auth/verify-email": Entry(body={"token": NO_LINK}),
    "POST /auth/password/forgot": Entry(body={"email": "nobody@example.com"}),
    "POST /auth/password/reset": Entry(body={"token": NO_LINK, "password": people.PASSWORD}),
    "POST /auth/login": Entry(body=_credentials),
    "POST /auth/refresh": Entry(body=_refresh_token),
    "POST /auth/logout": Entry(body=_refresh_token),
    "POST /auth/guest": Entry(),
    "GET /auth/profile": Entry(),
    "PATCH /auth/profile": Entry(body={"name": "Somebody"}),
    "POST /auth/password/change": Entry(body={"current_password": people.PASSWORD, "new_password": WEAK}),
    "GET /auth/sessions": Entry(Things.session),
    "DELETE /auth/sessions/{session_id}": Entry(Things.session),
    "GET /addresses": Entry(Things.address),
    "POST /addresses": Entry(body=ADDRESS),
    "PUT /addresses/{address_id}": Entry(Things.address, ADDRESS),
    "DELETE /addresses/{address_id}": Entry(Things.address),
    "GET /api-keys": Entry(Things.api_key),
    "POST /api-keys": Entry(body={"name": "a test", "scopes": ["jobs:read"]}),
    "POST /api-keys/{key_id}/rotate": Entry(Things.api_key),
    "DELETE /api-keys/{key_id}": Entry(Things.api_key),
    "GET /accounts": Entry(),
    "POST /accounts/{account_id}/suspend": Entry(Things.account, {"reason": "as a test"}),
    "POST /accounts/{account_id}/reactivate": Entry(Things.account),
    "PUT /accounts/{account_id}/roles": Entry(Things.account, {"roles": ["BUYER"]}),
    "PUT /accounts/{account_id}/group": Entry(Things.account, {"group": "wholesale"}),
    "POST /promotions/apply": Entry(body=_cart),
    "GET /tax-rates": Entry(),
    "PUT /tax-rates": Entry(body={"items": []}),
    "GET /price-lists": Entry(),
    "PUT /price-lists": Entry(body={"items": []}),
    "GET /shipping/zones": Entry(),
    "PUT /shipping/zones": Entry(body={"items": []}),
    "GET /shipping/methods": Entry(),
    "PUT /shipping/methods": Entry(body={"items": []}),
    "GET /shipping/rates": Entry(),
    "PUT /shipping/rates": Entry(body={"items": []}),
    "POST /sellers/apply": Entry(body={"name": ""}),
    "GET /sellers/me": Entry(),
    "PATCH /sellers/me": Entry(body={"description": "As before"}),
    "POST /sellers/me/members": Entry(body={"email": "nobody@example.com", "position": "staff"}),
    "DELETE /sellers/me/members/{account_id}": Entry(Things.member),
    "GET /sellers/me/commission": Entry(),
    "GET /orders/{order_id}/commission": Entry(Things.order_of_ones_goods),
    "GET /pricing/commission-rules": Entry(),
    "POST /pricing/commission-rules": Entry(body=COMMISSION),
    "GET /pricing/commission-rules/{rule_id}": Entry(Things.commission_rule),
    "PUT /pricing/commission-rules/{rule_id}": Entry(Things.commission_rule, COMMISSION),
    "DELETE /pricing/commission-rules/{rule_id}": Entry(Things.commission_rule),
    "POST /pricing/commission/preview": Entry(body=_preview),
    "GET /pricing/commission-calculations": Entry(),
    "GET /sellers": Entry(),
    "POST /sellers/{seller_id}/approve": Entry(Things.seller),
    "POST /sellers/{seller_id}/reject": Entry(Things.seller, {"reason": "as a test"}),
    "POST /sellers/{seller_id}/suspend": Entry(Things.seller, {"reason": "as a test"}),
    "POST /sellers/{seller_id}/reinstate": Entry(Things.seller),
    "POST /webhooks/{gateway}": Entry(lambda _things, _owner: {"gateway": "sandbox"}, {"type": "a test"}),
    "GET /lanes": Entry(),
    "POST /lanes/{lane}/pause": Entry(Things.lane),
    "POST /lanes/{lane}/resume": Entry(Things.lane),
    "POST /sweeps/{job}": Entry(Things.sweep),
    "GET /health/live": Entry(),
    "GET /health/ready": Entry(),
    "GET /health/dependencies": Entry(),
    "GET /.well-known/jwks.json": Entry(),
    "GET /schema": Entry(),
    "GET /docs": Entry(),
}
