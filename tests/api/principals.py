"""Everybody who may come to a route, each with one role alone, and what they are to a seller."""

from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from domain.accounts.model import Position, Role, Scope
from infra.clock import new_id
from tests.api.shop import Shop, bearer
from tests.system import eventually


class Who(StrEnum):
    """Who asks; a key is of an account with one role."""

    NOBODY = "nobody"
    GUEST = "a guest"
    BUYER = "a buyer"
    OWNER = "a seller's owner"
    STAFF = "a seller's staff"
    ADMIN = "an admin"
    SUSPENDED = "a suspended account"
    BUYERS_KEY = "a buyer's key"
    SELLERS_KEY = "a seller's key"
    ADMINS_KEY = "an admin's key"
    WIDE_KEY = "a key with all other scopes"


ROLES = {
    Who.GUEST: {Role.GUEST},
    Who.BUYER: {Role.BUYER},
    Who.OWNER: {Role.SELLER},
    Who.STAFF: {Role.SELLER},
    Who.ADMIN: {Role.ADMIN},
    Who.SUSPENDED: set(Role),
    Who.BUYERS_KEY: {Role.BUYER},
    Who.SELLERS_KEY: {Role.SELLER},
    Who.ADMINS_KEY: {Role.ADMIN},
}
KEYS = {
    Who.BUYERS_KEY: Who.BUYER,
    Who.SELLERS_KEY: Who.OWNER,
    Who.ADMINS_KEY: Who.ADMIN,
}
"""Whose account a key is of."""
HAVE_THINGS = {Who.BUYER, Who.OWNER, Who.STAFF, Who.ADMIN, *KEYS}
"""Who can have things that hang on an account, while these tests run."""
OWNS = {Who.OWNER, Who.SELLERS_KEY}
SELLS = {Who.OWNER, Who.STAFF, Who.SELLERS_KEY}

NEW_SELLER = "INSERT INTO sellers (id, name, status) VALUES ($1, 'A seller', 'approved')"
NO_ROLES_OF_ITS_OWN = "UPDATE accounts SET roles = '{}' WHERE id = $1"


class Persona(Struct, frozen=True):
    """An account, or a guest, and the seller it acts for."""

    id: UUID
    seller_id: UUID | None = None


class Principals:
    """One of each, in a shop."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._keys: dict[tuple[Who, frozenset[Scope]], dict[str, str]] = {}
        seller, other_seller = new_id(), new_id()
        for made in (seller, other_seller):
            shop.execute(NEW_SELLER, made)
        self.people = {
            Who.GUEST: Persona(new_id()),
            Who.BUYER: Persona(shop.account(Role.BUYER)),
            Who.OWNER: Persona(self._member(seller, Position.OWNER), seller),
            Who.STAFF: Persona(self._member(seller, Position.STAFF), seller),
            Who.ADMIN: Persona(shop.account(Role.ADMIN)),
            Who.SUSPENDED: Persona(shop.account(Role.BUYER, Role.ADMIN)),
        }
        self.somebody_else = Persona(self._member(other_seller, Position.OWNER), other_seller)
        self._suspend(self.people[Who.SUSPENDED].id)

    def _member(self, seller_id: UUID, position: Position) -> UUID:
        account = self._shop.member(seller_id, position)
        self._shop.execute(NO_ROLES_OF_ITS_OWN, account)
        return account

    def _suspend(self, account: UUID) -> None:
        header = bearer(Role.BUYER, subject=account)
        assert self._shop.http.get("/auth/profile", headers=header).status_code == 200
        body = {"reason": "as a test"}
        answer = self._shop.http.post(f"/accounts/{account}/suspend", json=body, headers=bearer(Role.ADMIN))
        assert answer.status_code == 200, answer.text
        eventually(lambda: self._shop.http.get("/auth/profile", headers=header).status_code == 401)

    def persona(self, who: Who) -> Persona | None:
        """Who stands behind a token or a key; None behind none."""
        return self.people.get(KEYS.get(who, who))

    def header(self, who: Who, roles: frozenset[Role], scope: Scope | None) -> dict[str, str]:
        """What somebody sends to a route for some roles: a key has exactly the route's scope, or all but that."""
        if who is Who.NOBODY:
            return {}
        if who is Who.WIDE_KEY:
            rightful = next(key for key in KEYS if not roles or roles & ROLES[key])
            return self._key(KEYS[rightful], frozenset(Scope) - {scope})
        if who in KEYS:
            return self._key(KEYS[who], frozenset(Scope) if scope is None else frozenset({scope}))
        return bearer(*ROLES[who], subject=self.people[who].id)

    def _key(self, who: Who, scopes: frozenset[Scope]) -> dict[str, str]:
        known = self._keys.get((who, scopes))
        if known is None:
            body = {"name": "a test", "scopes": sorted(scopes)}
            answer = self._shop.http.post("/api-keys", json=body, headers=bearer(subject=self.people[who].id))
            assert answer.status_code == 201, answer.text
            known = self._keys[who, scopes] = {"Authorization": f"Bearer {answer.json()['key']}"}
        return known
