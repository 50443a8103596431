"""Versions of products: edits on stale ones, two editors at once, and the history of who changed what."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx

from domain.accounts.model import Role
from tests.api import goods
from tests.api.goods import ADMIN, Seller, history, looked_up
from tests.api.shop import Shop, assert_problem, bearer

# --- Versions and history -------------------------------------------------------------------------------------------


def test_an_edit_on_a_stale_version_is_a_412_and_changes_nothing(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.shirt(shop, seller, shirts)
    after = goods.patch(shop, made, seller.header, {"description": "1"}, If_Match='"1"').json()
    answer = goods.patch(shop, made, seller.header, {"description": "2"}, If_Match='"1"')
    assert_problem(answer, 412, "stale_version", "If-Match")
    assert answer.headers["etag"] == '"2"'
    answer = shop.http.post(f"/products/{made['id']}/submit", headers=seller.header | {"If-Match": '"1"'})
    assert_problem(answer, 412, "stale_version", "If-Match")
    assert looked_up(shop, made, seller.header).json() == after
    answer = goods.patch(shop, made, seller.header, {"description": "3"}, If_Match='"1", "2"')
    assert answer.status_code == 200


def test_of_two_editors_of_one_version_one_wins(shop: Shop, seller: Seller):
    made = goods.product(shop, seller)
    answers = _at_once(shop, made, seller, [{"description": "a"}, {"meta_title": "b"}], If_Match='"1"')
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert looked_up(shop, made, seller.header).json() == winner
    assert winner["version"] == 2


def test_of_editors_who_name_no_version_nothing_is_lost(shop: Shop, seller: Seller):
    made = goods.product(shop, seller)
    edits: list[Any] = [{"attributes": {f"a{n}": n}} for n in range(12)]
    answers = _at_once(shop, made, seller, edits)
    assert {answer.status_code for answer in answers} == {200}
    after = looked_up(shop, made, seller.header).json()
    assert after["attributes"] == {f"a{n}": n for n in range(12)}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 14))
    assert [entry["version"] for entry in history(shop, made, seller.header)["items"]] == list(range(13, 0, -1))


def _at_once(shop: Shop, what: dict[str, Any], of: Seller, edits: list[Any], **headers: str) -> list[httpx.Response]:
    ready = threading.Barrier(len(edits))
    fields = of.header | {name.replace("_", "-"): value for name, value in headers.items()}

    def send(n: int) -> httpx.Response:
        ready.wait()
        return shop.clients[n % 2].patch(f"/products/{what['id']}", json=edits[n], headers=fields)

    with ThreadPoolExecutor(len(edits)) as pool:
        return list(pool.map(send, range(len(edits))))


def test_the_history_tells_who_changed_what(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.shirt(shop, seller, shirts)
    goods.patch(shop, made, seller.header, {"description": "Warm.", "attributes": {shirts["fabric"]: "felt"}})
    goods.stepped(shop, made, "submit", seller.header)
    admin = shop.account(Role.ADMIN)
    goods.stepped(shop, made, "approve", bearer(Role.ADMIN, subject=admin), {"approve": False, "reason": "Why"})
    page = history(shop, made, seller.header)
    assert page == history(shop, made, ADMIN)
    assert [(e["version"], e["type"], UUID(e["actor"])) for e in page["items"]] == [
        (4, "product.rejected", admin),
        (3, "product.submitted", seller.account),
        (2, "product.changed", seller.account),
        (1, "product.created", seller.account),
    ]
    assert [entry["changes"] for entry in page["items"][:3]] == [
        {
            "status": {"before": "pending_approval", "after": "rejected"},
            "reason": {"before": "", "after": "Why"},
        },
        {"status": {"before": "draft", "after": "pending_approval"}},
        {
            "description": {"before": "", "after": "Warm."},
            f"attributes.{shirts['fabric']}": {"before": "wool", "after": "felt"},
        },
    ]
    assert page["items"][3]["changes"]["title"] == {"before": None, "after": made["title"]}


def test_a_history_is_read_in_pages(shop: Shop, seller: Seller):
    made = goods.product(shop, seller)
    for n in range(4):
        goods.patch(shop, made, seller.header, {"description": str(n)})
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = history(shop, made, seller.header, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [entry["version"] for entry in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    answer = shop.http.get(f"/products/{made['id']}/history", headers=seller.header, params={"cursor": "nonsense"})
    assert_problem(answer, 400, "invalid_request", "cursor")
