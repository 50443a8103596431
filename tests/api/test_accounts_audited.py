"""What the routes of sellers, keys and addresses leave behind: the audit finds nothing wrong with it."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import asyncpg

from domain.invariants import Audit, run_audit
from tests.api.selling import IBAN, acting, add_member, apply, approved, email_of, review
from tests.api.shop import Shop, bearer

HOME = {"name": "Ada", "line1": "1 Street", "city": "London", "country": "GB"}


def audit(shop: Shop) -> Audit:
    async def run() -> Audit:
        conn = await asyncpg.connect(shop.database_url)
        try:
            return await run_audit(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


def sell(shop: Shop) -> None:
    owner, second, staff = shop.account(), shop.account(), shop.account()
    seller = approved(shop, owner, description="Engines", payout=IBAN)
    changed = shop.http.patch("/sellers/me", json={"name": "Ada & Co.", "payout": None}, headers=acting(owner))
    assert changed.status_code == 200
    add_member(shop, owner, email_of(shop, second), position="owner")
    add_member(shop, second, email_of(shop, staff))
    assert shop.http.delete(f"/sellers/me/members/{staff}", headers=acting(owner)).status_code == 204
    review(shop, review(shop, seller, "suspend", "late parcels"), "reinstate")


def be_rejected(shop: Shop) -> None:
    applicant = shop.account()
    review(shop, apply(shop, applicant), "reject", "no licence")
    apply(shop, applicant, name="Second try")


def use_keys(shop: Shop, account: UUID) -> None:
    mine = bearer(subject=account)
    body = {"name": "service", "scopes": ["orders:write", "catalog:read", "orders:read"]}
    first, second, third = (shop.http.post("/api-keys", json=body, headers=mine).json()["id"] for _ in range(3))
    for key, way in ((first, {}), (second, {"json": {"overlap_seconds": 0}})):
        assert shop.http.post(f"/api-keys/{key}/rotate", headers=mine, **way).status_code == 201
    for key in (first, third):
        assert shop.http.delete(f"/api-keys/{key}", headers=mine).status_code == 204


def use_addresses(shop: Shop, account: UUID) -> None:
    mine = bearer(subject=account)
    first, second = (shop.http.post("/addresses", json=HOME, headers=mine).headers["location"] for _ in range(2))
    assert shop.http.put(first, json={**HOME, "city": "Bath"}, headers=mine).status_code == 200
    assert shop.http.delete(second, headers=mine).status_code == 204


def test_the_audit_finds_nothing_wrong_with_what_the_routes_leave(make_shop: Callable[[], Shop]):
    shop = make_shop()
    shop.web()
    sell(shop)
    be_rejected(shop)
    account = shop.account()
    use_keys(shop, account)
    use_addresses(shop, account)
    found = audit(shop)
    assert [check for check in found.checks if check.violations] == []
    assert shop.value("SELECT count(DISTINCT type) FROM events") >= 13
