"""Products for tests, made over HTTP by their sellers."""

from typing import Any
from uuid import UUID

import httpx
from msgspec import Struct

from domain.accounts.model import Role
from infra.clock import new_id
from tests.api import tree
from tests.api.shop import Shop, bearer

ADMIN = bearer(Role.ADMIN)
NEW_SELLER = "INSERT INTO sellers (id, name, status) VALUES ($1, 'Analytical Engines', 'approved')"


class Seller(Struct, frozen=True):
    """An approved seller, and the header of one who acts for it."""

    id: UUID
    account: UUID
    header: dict[str, str]


def seller(shop: Shop) -> Seller:
    seller_id = new_id()
    shop.execute(NEW_SELLER, seller_id)
    account = shop.member(seller_id)
    return Seller(seller_id, account, bearer(Role.SELLER, subject=account))


def shirts(shop: Shop) -> dict[str, Any]:
    """A category that asks for a fabric and makes variants of sizes; ``size`` and ``fabric`` hold their codes."""
    made = tree.category(shop)
    size = tree.attribute(shop, made, kind="choice", choices=["S", "M", "L"], variant_making=True)
    fabric = tree.attribute(shop, made, required=True)
    return {**made, "size": size["code"], "fabric": fabric["code"]}


def product(shop: Shop, of: Seller, **fields: Any) -> dict[str, Any]:
    """Make a draft."""
    answer = shop.http.post("/products", json={"title": tree.a_name("Shirt"), **fields}, headers=of.header)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def shirt(shop: Shop, of: Seller, category: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Make a draft that is complete."""
    attributes = {category["size"]: ["S", "M"], category["fabric"]: "wool"}
    return product(shop, of, **{"category_id": category["id"], "attributes": attributes, **fields})


def step(shop: Shop, what: dict[str, Any], way: str, who: dict[str, str], body: Any = None) -> httpx.Response:
    return shop.http.post(f"/products/{what['id']}/{way}", json=body, headers=who)


def stepped(shop: Shop, what: dict[str, Any], way: str, who: dict[str, str], body: Any = None) -> dict[str, Any]:
    answer = step(shop, what, way, who, body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def approved(shop: Shop, what: dict[str, Any], of: Seller) -> dict[str, Any]:
    stepped(shop, what, "submit", of.header)
    return stepped(shop, what, "approve", ADMIN, {"approve": True})


def active(shop: Shop, what: dict[str, Any], of: Seller) -> dict[str, Any]:
    approved(shop, what, of)
    return stepped(shop, what, "activate", of.header)


def patch(shop: Shop, what: dict[str, Any], who: dict[str, str], body: Any, **headers: str) -> httpx.Response:
    fields = who | {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.http.patch(f"/products/{what['id']}", json=body, headers=fields)


def looked_up(shop: Shop, what: dict[str, Any], who: dict[str, str] | None = None) -> httpx.Response:
    return shop.http.get(f"/products/{what['id']}", headers=who or {})


def by_slug(shop: Shop, slug: str, who: dict[str, str] | None = None) -> httpx.Response:
    return shop.http.get(f"/products/by-slug/{slug}", headers=who or {}, follow_redirects=False)


def history(shop: Shop, what: dict[str, Any], who: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = shop.http.get(f"/products/{what['id']}/history", headers=who, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page
