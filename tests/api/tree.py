"""Categories and attributes for tests, made over HTTP by an admin."""

import itertools
from typing import Any
from uuid import uuid4

from domain.accounts.model import Role
from tests.api.shop import Shop, bearer

ADMIN = bearer(Role.ADMIN)
_numbers = itertools.count(1)


def a_name(word: str = "Shelf") -> str:
    """A name no other test has."""
    return f"{word} {uuid4().hex[:8]} {next(_numbers)}"


def category(shop: Shop, parent: dict[str, Any] | None = None, **fields: object) -> dict[str, Any]:
    """Make a category, a root unless it has a parent."""
    body = {"name": a_name(), "parent_id": None if parent is None else parent["id"], **fields}
    answer = shop.http.post("/categories", json=body, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def chain(shop: Shop, length: int, parent: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Make categories each below the one before."""
    made: list[dict[str, Any]] = []
    for _ in range(length):
        made.append(category(shop, made[-1] if made else parent))
    return made


def a_code() -> str:
    return f"a{uuid4().hex[:12]}_{next(_numbers)}"


def attribute(shop: Shop, *categories: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Make an attribute, a text unless said otherwise, and have categories ask for it."""
    body = {"code": a_code(), "name": "An attribute", "kind": "text", **fields}
    answer = shop.http.post("/attributes", json=body, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    for asking in categories:
        assign(shop, asking, made)
    return made


def assign(shop: Shop, to: dict[str, Any], attribute: dict[str, Any], **fields: object) -> dict[str, Any]:
    answer = shop.http.put(f"/categories/{to['id']}/attributes/{attribute['id']}", json=fields, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    assigned: dict[str, Any] = answer.json()
    return assigned


def move(shop: Shop, what: dict[str, Any], to: dict[str, Any] | None, **fields: object) -> Any:
    body = {"parent_id": None if to is None else to["id"], **fields}
    return shop.http.post(f"/categories/{what['id']}/move", json=body, headers=ADMIN)


def get(shop: Shop, thing: dict[str, Any], kind: str = "categories") -> dict[str, Any]:
    answer = shop.http.get(f"/{kind}/{thing['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(shop: Shop, thing: dict[str, Any]) -> list[tuple[int, str]]:
    """What the stream of a thing tells: versions and types."""
    rows = shop.fetch("SELECT version, type FROM events WHERE stream = $1 ORDER BY version", thing["id"])
    return [(row["version"], row["type"]) for row in rows]
