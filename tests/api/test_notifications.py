"""Switches of mails, the link that turns one off, and the language of mails."""

import re
from uuid import UUID, uuid4

import pytest

from domain.accounts.model import Purpose, Role
from infra.clock import new_id
from infra.onetime import token_of
from tests.api.shop import Shop, assert_problem, bearer
from tests.builders import SECRET_KEY

PATH = "/auth/notifications"
ONE_CLICK = {"content": "List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


def switched(answer: object) -> dict[str, bool]:
    return {each["kind"]: each["email"] for each in answer.json()["kinds"]}  # type: ignore[attr-defined]


def link(shop: Shop, recipient: UUID, kind: str = "order_shipped", *, purpose: Purpose = Purpose.UNSUBSCRIBE) -> str:
    """The link in a mail to somebody."""
    notification = new_id()
    shop.execute(
        "INSERT INTO notifications (id, stream, version, audience, recipient, kind)"
        " VALUES ($1, $1, 1, 'buyer', $2, $3)",
        notification,
        recipient,
        kind,
    )
    return f"/mails/unsubscribe?token={token_of(SECRET_KEY, purpose, notification)}"


def off(shop: Shop, recipient: UUID) -> list[str] | None:
    found: list[str] | None = shop.value("SELECT switched_off FROM mail_preferences WHERE recipient = $1", recipient)
    return found


def test_everything_is_on_until_it_is_switched_off_and_a_switch_not_named_is_on(shop: Shop):
    me = bearer(Role.BUYER)
    assert set(switched(shop.http.get(PATH, headers=me)).values()) == {True}
    wish = {"email": {"order_shipped": False, "low_stock": False}}
    answer = shop.http.put(PATH, json=wish, headers=me)
    assert answer.status_code == 200
    assert [kind for kind, on in switched(answer).items() if not on] == ["order_shipped", "low_stock"]
    assert switched(shop.http.get(PATH, headers=me)) == switched(answer)
    again = shop.http.put(PATH, json={"email": {"low_stock": False}}, headers=me)
    assert [kind for kind, on in switched(again).items() if not on] == ["low_stock"]


def test_what_has_to_be_told_in_writing_cannot_be_switched_off(shop: Shop):
    me = uuid4()
    wish = {"email": {"order_shipped": False, "order_placed": False}}
    answer = shop.http.put(PATH, json=wish, headers=bearer(Role.BUYER, subject=me))
    assert_problem(answer, 400, "invalid_request", "email.order_placed")
    assert off(shop, me) is None
    shown = shop.http.get(PATH, headers=bearer(Role.BUYER, subject=me)).json()["kinds"]
    assert {each["kind"] for each in shown if each["needed"]} == {
        "order_placed", "order_confirmed", "order_cancelled", "lines_cancelled", "order_refunded", "product_rejected",
    }  # fmt: skip


def test_a_kind_there_is_not_is_refused(shop: Shop):
    assert_problem(shop.http.put(PATH, json={"email": {"weather": False}}, headers=bearer()), 400, "invalid_request")


def test_a_change_has_one_event_and_no_change_none(shop: Shop):
    me = uuid4()
    for _ in range(2):
        shop.http.put(PATH, json={"email": {"low_stock": False}}, headers=bearer(Role.GUEST, subject=me))
    events = shop.fetch("SELECT version, data ->> 'switched_off' AS off FROM events WHERE actor = $1", me)
    assert [tuple(row) for row in events] == [(1, '["low_stock"]')]


def test_an_edit_of_an_old_version_is_refused(shop: Shop):
    me = bearer(Role.BUYER)
    tag = shop.http.put(PATH, json={"email": {"low_stock": False}}, headers=me).headers["etag"]
    assert shop.http.put(PATH, json={"email": {}}, headers={**me, "If-Match": tag}).status_code == 200
    stale = shop.http.put(PATH, json={"email": {"low_stock": False}}, headers={**me, "If-Match": tag})
    assert_problem(stale, 412, "stale_version", "If-Match")


def test_one_click_switches_that_kind_off_without_a_login_and_leaves_the_others(shop: Shop):
    guest = uuid4()
    shop.http.put(PATH, json={"email": {"low_stock": False}}, headers=bearer(Role.GUEST, subject=guest))
    path = link(shop, guest)
    for _ in range(2):
        assert shop.http.post(path, **ONE_CLICK).status_code == 200
        assert off(shop, guest) == ["low_stock", "order_shipped"]
    events = shop.fetch("SELECT type FROM events WHERE actor = $1", guest)
    assert [row["type"] for row in events] == ["mail_preference.changed"] * 2


def test_opening_the_link_shows_a_button_and_changes_nothing(shop: Shop):
    guest = uuid4()
    answer = shop.http.get(link(shop, guest))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert re.search(r'<form method="post">\s*<button type="submit"', answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert off(shop, guest) is None


def test_the_page_speaks_the_language_of_who_got_the_mail(shop: Shop):
    account = shop.account()
    shop.execute("UPDATE accounts SET language = 'de' WHERE id = $1", account)
    path = link(shop, account)
    assert "Keine E-Mails dieser Art mehr" in shop.http.get(path).text
    assert "Sie bekommen keine E-Mails dieser Art mehr." in shop.http.post(path).text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_is_not_ours_does_nothing(shop: Shop, method: str):
    guest = uuid4()
    other = link(shop, guest, purpose=Purpose.VERIFY_EMAIL)
    unknown = f"/mails/unsubscribe?token={token_of(SECRET_KEY, Purpose.UNSUBSCRIBE, new_id())}"
    for path in (other, unknown, "/mails/unsubscribe?token=x", "/mails/unsubscribe?token="):
        assert_problem(shop.http.request(method, path), 400, "invalid_link", "token")
    assert off(shop, guest) is None


def test_a_link_switches_off_nothing_that_is_needed(shop: Shop):
    guest = uuid4()
    assert_problem(shop.http.post(link(shop, guest, "order_placed")), 400, "invalid_link", "token")
    assert off(shop, guest) is None


def test_an_account_chooses_the_language_of_its_mails(shop: Shop):
    account = shop.account()
    me = bearer(Role.BUYER, subject=account)
    assert shop.http.get("/auth/profile", headers=me).json()["language"] is None
    changed = shop.http.patch("/auth/profile", json={"language": "de"}, headers=me)
    assert changed.json()["language"] == "de"
    named = shop.http.patch("/auth/profile", json={"name": "Ada"}, headers=me).json()
    assert (named["name"], named["language"]) == ("Ada", "de"), "what isn't named stays"
    fields = shop.fetch("SELECT data ->> 'fields' AS fields FROM events WHERE stream = $1 ORDER BY version", account)
    assert [row["fields"] for row in fields] == ['["language"]', '["name"]']
    assert shop.http.patch("/auth/profile", json={"language": None}, headers=me).json()["language"] is None
    assert_problem(
        shop.http.patch("/auth/profile", json={"language": "xx"}, headers=me), 400, "invalid_request", "language"
    )
