"""A small marketplace to ask everything of: people of each role with their tokens, and ids of what there is.

Everything is made over HTTP or by the domain's own statements, so that the audit has nothing to say of it.
"""

from typing import Any
from uuid import UUID

from domain.accounts.model import Role, Scope
from infra.clock import new_id
from tests.api import goods, people, promoting, tree
from tests.api.shop import Shop, bearer, line, order, wait

ENVIRONMENT = {"EMAIL_VERIFICATION": "optional", "WAIT_SECONDS_MAX": "2", "RATE_REQUESTS_PER_SECOND": "100000"}
"""Nobody is kept waiting for long, or for asking often."""
ROLES = ("nobody", "newcomer", "guest", "buyer", "seller", "key", "admin")
"""Everybody there is; a newcomer registers and logs in. The admin comes last: it may suspend others and pause lanes."""

PAYMENTS = (("tok_ok", "now"), ("tok_ok", "on_shipment"), ("tok_action_required", "now"))
"""With which token, and taken when, orders are paid that are there from the start."""


class Market:
    """A marketplace in a shop whose processes run."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.url = shop.urls[0]
        self.ids: dict[str, set[str]] = {}
        buyer, owner = self._account(), self._account()
        guest = self._post("/auth/guest", {}, None)
        seller = self._seller(owner)
        key = self._post("/api-keys", {"name": "fuzz", "scopes": sorted(Scope)}, bearer(Role.BUYER, subject=owner))
        # An admin without an account: nobody can suspend it, itself included.
        self.headers = {
            "nobody": {},
            "newcomer": {},
            "guest": {"Authorization": f"Bearer {guest['access_token']}"},
            "buyer": bearer(Role.BUYER, subject=buyer),
            "seller": seller.header,
            "key": {"Authorization": f"Bearer {key['key']}"},
            "admin": bearer(Role.ADMIN, subject=new_id()),
        }
        for _ in range(3):
            self._applicant(self._account())
        self._staff(seller)
        self._promote(seller)
        self._fill(seller)

    def _account(self) -> UUID:
        email = people.address()
        assert people.post(self.shop, "/auth/register", email=email, password=people.PASSWORD).status_code == 202
        signed_in = people.log_in(self.shop, email)
        self._note("account_id", signed_in["account_id"])
        self._note("session_id", signed_in["session_id"])
        self._note("refresh_token", signed_in["refresh_token"])
        return UUID(signed_in["account_id"])

    def _applicant(self, owner: UUID) -> UUID:
        applied = self._post("/sellers/apply", {"name": "Analytical Engines"}, bearer(Role.BUYER, subject=owner))
        self._note("seller_id", applied["id"])
        return UUID(applied["id"])

    def _seller(self, owner: UUID) -> goods.Seller:
        seller = self._applicant(owner)
        self._post(f"/sellers/{seller}/approve", None, bearer(Role.ADMIN))
        return goods.Seller(seller, owner, bearer(Role.SELLER, Role.BUYER, subject=owner))

    def _staff(self, seller: goods.Seller) -> None:
        email = people.register(self.shop)
        self._note("account_id", people.log_in(self.shop, email)["account_id"])
        self._post("/sellers/me/members", {"email": email}, seller.header)

    def _promote(self, seller: goods.Seller) -> None:
        """Promotions of the platform and of the seller, drafts and active ones, with codes."""
        funding = {promoting.ADMIN["Authorization"]: "platform", seller.header["Authorization"]: "seller"}
        for who in (promoting.ADMIN, seller.header):
            body = promoting.content(funding=funding[who["Authorization"]], uses_max=5)
            made = [promoting.draft(self.shop, body, who), promoting.active(self.shop, body, who)]
            promoting.with_codes(self.shop, made[1], new_id().hex, who=who)
            self._note("promotion_id", *(promotion["id"] for promotion in made))

    def _fill(self, seller: goods.Seller) -> None:
        shirts = goods.shirts(self.shop)
        root = tree.category(self.shop)
        self._note("category_id", shirts["id"], root["id"])
        attribute = tree.attribute(self.shop, root)
        self._note("attribute_id", attribute["id"])
        for made in (
            goods.product(self.shop, seller),
            goods.active(self.shop, goods.shirt(self.shop, seller, shirts), seller),
        ):
            self._note("product_id", made["id"])
            self._note("slug", made["slug"])
        self._note("code", attribute["code"], shirts["size"], shirts["fabric"])
        for rate in (500, 1_000):
            rule = {"title": "A rule", "rate_bp": rate, "priority": rate}
            self._note("rule_id", self._post("/pricing/commission-rules", rule, bearer(Role.ADMIN))["id"])
        offers = [self.shop.offer_of(seller.id) for _ in range(2)]
        for offer in offers:
            self._note("product_id", offer.product_id)
            self._note("variant_id", offer.variant_id)
        for who in ("guest", "buyer", "seller"):
            body = order(*offers) | {"email": people.address()}
            placed = self._post("/orders", body, self.headers[who] | wait())
            self._note("order_id", placed["id"])
            for token, capture in PAYMENTS:
                self._pay(self._post("/orders", body, self.headers[who] | wait())["id"], who, token, capture)
            held = self._post("/inventory/reserve", line(offers[0]), self.headers[who] | wait())
            self._note("reservation_id", held["result"]["reservations"][0]["id"])
            self._note("job_id", placed["id"])
            for _ in range(2):
                self._note("cart_id", self._post("/carts", body, self.headers[who])["id"])
        for who in ("buyer", "seller"):
            place = {"name": "A", "line1": "B", "city": "C", "country": "DE"}
            self._note("address_id", self._post("/addresses", place, self.headers[who])["id"])
            wish = {"name": "spare", "scopes": ["jobs:read"]}
            self._note("key_id", self._post("/api-keys", wish, self.headers[who])["id"])

    def _pay(self, order_id: str, who: str, token: str, capture: str) -> None:
        body = {"gateway": "sandbox", "token": token, "capture": capture}
        self._post(f"/orders/{order_id}/payment", body, self.headers[who] | wait())
        self._note("order_id", order_id)

    def _post(self, path: str, body: Any, headers: dict[str, str] | None) -> dict[str, Any]:
        answer = self.shop.http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def _note(self, name: str, *values: object) -> None:
        self.ids.setdefault(name, set()).update(map(str, values))
