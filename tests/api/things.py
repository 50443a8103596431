"""What the paths of routes name, made for whoever is to own it, and bodies to send there."""

import hashlib
import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from domain.accounts.model import Position, Role
from domain.orders.fulfilment_model import seller_order_id
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
NEW_RETURN = """
INSERT INTO returns (id, order_id, seller_no, seller_id, lines, quantities, reason, requested_by, requested_at)
SELECT $1, order_id, seller_no, seller_id, '{0}', '{1}', 'as a test', $1, now()
FROM seller_orders WHERE order_id = $2 AND seller_no = 0
"""
NEW_ENDPOINT = """
INSERT INTO webhook_endpoints (id, seller_id, url, events, secret, created_by)
VALUES ($1, $2, 'https://receiver.invalid/', '{nothing.happens}', '\\x00', $3)
"""
NEW_DELIVERY = """
INSERT INTO webhook_deliveries (id, endpoint_id, seller_id, stream, version, event_type, body, state, ended_at)
VALUES ($1, $2, $3, $1, 0, 'webhook.test', '{}', 'failed', now())
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

    def seller_order(self, owner: Persona) -> Named:
        order_id = UUID(self.order_of_ones_goods(owner)["order_id"])
        return {"seller_order_id": str(seller_order_id(order_id, 0))}

    def return_of_ones_order(self, owner: Persona) -> Named:
        return self._return(self.order(owner))

    def return_of_ones_goods(self, owner: Persona) -> Named:
        return self._return(self.order_of_ones_goods(owner))

    def _return(self, of: Named) -> Named:
        made = new_id()
        self.shop.execute(NEW_RETURN, made, UUID(of["order_id"]))
        return {"return_id": str(made)}

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

    def payout(self, _: Persona) -> Named:
        """One that is empty: nobody sells for money that is there for tests."""
        answer = self.shop.http.post("/payouts", json={"currency": "XTS"}, headers=bearer(Role.ADMIN) | wait())
        assert answer.status_code == 200, answer.text
        return {"payout_id": answer.json()["id"]}

    def webhook_endpoint(self, owner: Persona) -> Named:
        """One that hears of nothing that happens here, and leads nowhere."""
        endpoint = new_id()
        self.shop.execute(NEW_ENDPOINT, endpoint, owner.seller_id, owner.id)
        return {"endpoint_id": str(endpoint)}

    def webhook_delivery(self, owner: Persona) -> Named:
        endpoint, delivery = self.webhook_endpoint(owner)["endpoint_id"], new_id()
        self.shop.execute(NEW_DELIVERY, delivery, UUID(endpoint), owner.seller_id)
        return {"delivery_id": str(delivery)}

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
