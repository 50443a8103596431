"""Stock for tests, kept over HTTP."""

import re
from typing import Any
from uuid import UUID

import httpx
import msgspec

from domain import ids
from domain.accounts.model import Role
from domain.invariants import INVARIANTS
from ops.goods import NewOffer
from tests.api.shop import Shop, bearer, wait

ADMIN = bearer(Role.ADMIN)
DUE = "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE id = $1"
EVENTS = "SELECT version, type, actor, correlation, data FROM events WHERE stream = $1 ORDER BY version"


def path_of(offer: NewOffer) -> str:
    return f"/inventory/{offer.variant_id}/{offer.seller_id}"


def keeper(shop: Shop, offer: NewOffer) -> dict[str, str]:
    """The header of an account that acts for an offer's seller."""
    return bearer(Role.SELLER, subject=shop.member(offer.seller_id))


def change(
    shop: Shop, offer: NewOffer, who: dict[str, str] = ADMIN, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    said = {"reason": "counted", **body}
    return shop.http.put(f"{path_of(offer)}/stock", json=said, headers=who | wait() | (headers or {}))


def changed(shop: Shop, offer: NewOffer, who: dict[str, str] = ADMIN, **body: Any) -> dict[str, Any]:
    """Change stock; return the figures from then on."""
    answer = change(shop, offer, who, **body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def stock(shop: Shop, offer: NewOffer, who: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = shop.http.get(path_of(offer), headers=who)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    found: dict[str, Any] = answer.json()
    return found


def figures(shop: Shop, offer: NewOffer) -> tuple[int, int, int]:
    """On hand, reserved, backorder limit."""
    found = stock(shop, offer)
    return found["on_hand"], found["reserved"], found["backorder_limit"]


def threshold(shop: Shop, offer: NewOffer, value: int | None, who: dict[str, str] = ADMIN, **headers: str) -> Any:
    fields = who | {name.replace("_", "-"): said for name, said in headers.items()}
    return shop.http.put(f"{path_of(offer)}/threshold", json={"threshold": value}, headers=fields)


def events_of(shop: Shop, offer: NewOffer) -> list[tuple[str, dict[str, Any]]]:
    """What is told of an offer's stock after it came, type and data; all versions count up from 1."""
    rows = shop.fetch(EVENTS, ids.stock_stream(offer.variant_id, offer.seller_id, 0))
    assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["type"] for row in rows[:1]] in ([], ["stock.received"])
    return [(row["type"], msgspec.json.decode(row["data"])) for row in rows[1:]]


def movements(shop: Shop, who: dict[str, str] = ADMIN, **query: Any) -> list[dict[str, Any]]:
    """All movements a list shows, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = shop.http.get("/inventory/movements", params={"limit": 3, **query, **cursor}, headers=who)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def moved(rows: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(row["kind"], row["on_hand_delta"], row["reserved_delta"]) for row in rows]


def ordered(shop: Shop, body: dict[str, Any], who: dict[str, str]) -> UUID:
    """Place an order; return its id."""
    answer = shop.http.post("/orders", json=body, headers=who | wait())
    assert answer.status_code == 200, answer.text
    return UUID(answer.json()["id"])


def reserve(shop: Shop, who: dict[str, str], *lines: dict[str, Any], **more: Any) -> httpx.Response:
    body = {**(lines[0] if len(lines) == 1 else {"lines": list(lines)}), **more}
    return shop.http.post("/inventory/reserve", json=body, headers=who | wait())


def reserved(shop: Shop, who: dict[str, str], *lines: dict[str, Any], **more: Any) -> list[str]:
    """Hold units; return the holds' ids."""
    answer = reserve(shop, who, *lines, **more)
    assert answer.status_code == 200, answer.text
    return [held["id"] for held in answer.json()["result"]["reservations"]]


def do(shop: Shop, way: str, held: str, who: dict[str, str], body: Any = None) -> httpx.Response:
    return shop.http.post(f"/inventory/{way}/{held}", json=body, headers=who | wait())


def done(shop: Shop, way: str, held: str, who: dict[str, str], body: Any = None) -> dict[str, Any]:
    answer = do(shop, way, held, who, body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def hold_events_of(shop: Shop, held: str) -> list[str]:
    """What is told of a hold; versions count up from 1, and the last one is the row's."""
    rows = shop.fetch("SELECT version, type, data FROM events WHERE stream = $1 ORDER BY version", UUID(held))
    assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == shop.value("SELECT version FROM reservations WHERE id = $1", UUID(held))
    return [row["type"] for row in rows]


_ABOUT_STOCK = re.compile(r"stock_|reserv|nothing_oversold|holds_|limits_|open_lines_|ended_lines_|one_place_")
_CHECKS = [name for name in INVARIANTS if _ABOUT_STOCK.match(name)]


def wrong_of_stock(shop: Shop) -> dict[str, list[str]]:
    """What the audit finds of stock: tests write members and sellers without telling."""
    return shop.violations(_CHECKS)
