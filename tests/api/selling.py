"""Sellers as tests need them: applied and approved through the API."""

from typing import Any
from uuid import UUID, uuid4

import msgspec

from domain.accounts.model import Role
from infra.security import Tokens
from tests.api.shop import Shop, bearer
from tests.builders import SECRET_KEY

ADMIN = bearer(Role.ADMIN)
IBAN = {"kind": "iban", "holder": "Ada Lovelace", "iban": "DE89 3704 0044 0532 0130 00", "bic": "COBADEFFXXX"}
MASK = "DE•• •••• •••• 3000"


def acting(account: UUID) -> dict[str, str]:
    """The header of somebody who buys and acts for a seller."""
    return bearer(Role.BUYER, Role.SELLER, subject=account)


def renewed(shop: Shop, account: UUID) -> dict[str, str]:
    """The header of a buyer whose token was made after whatever was taken back."""
    epoch = shop.value("SELECT epoch FROM accounts WHERE id = $1", account)
    made = Tokens(SECRET_KEY).sign(account, frozenset({Role.BUYER}), 3600, epoch=epoch, session=uuid4())
    return {"Authorization": f"Bearer {made}"}


def apply(shop: Shop, account: UUID, **changes: Any) -> dict[str, Any]:
    body = {"name": "Analytical Engines", **changes}
    answer = shop.http.post("/sellers/apply", json=body, headers=renewed(shop, account))
    assert answer.status_code == 201, answer.text
    seller: dict[str, Any] = answer.json()
    return seller


def review(shop: Shop, seller: dict[str, Any], way: str, reason: str | None = None) -> dict[str, Any]:
    """Approve, reject, suspend or reinstate a seller; return what it is then."""
    path = f"/sellers/{seller['id']}/{way}"
    answer = shop.http.post(path, headers=ADMIN, json=None if reason is None else {"reason": reason})
    assert answer.status_code == 200, answer.text
    decided: dict[str, Any] = answer.json()
    return decided


def approved(shop: Shop, account: UUID, **changes: Any) -> dict[str, Any]:
    """A seller that may sell, with an account as its owner."""
    return review(shop, apply(shop, account, **changes), "approve")


def add_member(shop: Shop, owner: UUID, email: str, **more: str) -> None:
    answer = shop.http.post("/sellers/me/members", json={"email": email, **more}, headers=acting(owner))
    assert answer.status_code == 202, answer.text


def email_of(shop: Shop, account: UUID) -> str:
    return str(shop.value("SELECT email FROM accounts WHERE id = $1", account))


def mails_to(shop: Shop, email: str) -> list[dict[str, Any]]:
    """The mails an address is sent, oldest first."""
    query = "SELECT payload FROM commands WHERE job = 'send_account_mail' AND payload ->> 'to' = $1 ORDER BY id"
    return [msgspec.json.decode(row["payload"]) for row in shop.fetch(query, email)]


def events_of(shop: Shop, seller: dict[str, Any]) -> list[tuple[str, UUID, dict[str, Any]]]:
    """What happened to a seller: type, actor, data; their versions count up from 1."""
    query = "SELECT version, type, actor, data FROM events WHERE stream = $1 ORDER BY version"
    rows = shop.fetch(query, UUID(seller["id"]))
    assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == shop.value("SELECT version FROM sellers WHERE id = $1", UUID(seller["id"]))
    return [(row["type"], row["actor"], msgspec.json.decode(row["data"])) for row in rows]
