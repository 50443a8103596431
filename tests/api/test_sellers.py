"""One's own seller over HTTP: apply, look, change. Payout details are sealed and never shown."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec
import pytest

from api.sellers import SEALED_FOR
from domain.accounts.model import Role, Scope
from domain.accounts.seller_payout import Payout
from domain.rejections import Code
from infra.encryption import Sealer
from tests.api.selling import ADMIN, IBAN, MASK, acting, add_member, apply, approved, email_of, events_of, review
from tests.api.shop import Shop, assert_problem, bearer
from tests.builders import SECRET_KEY

SECRETS = ("370400440532", "COBADEFF", "Lovelace", "021000021", "987654321")
HOLDING_TEXT = ("sellers", "events", "commands", "outcomes", "accounts")


def assert_shown_nowhere(shop: Shop, *texts: str) -> None:
    """Nothing of payout details stands in a row, an answer or a log."""
    for secret in SECRETS:
        for table in HOLDING_TEXT:
            assert shop.value(f"SELECT count(*) FROM {table} AS r WHERE r::text LIKE '%' || $1 || '%'", secret) == 0
        for text in (*texts, shop.system.log("web"), shop.system.log("web2"), shop.system.log("worker")):
            assert secret not in text


def test_who_applies_is_the_owner_and_sees_how_the_application_stands(shop: Shop):
    account = shop.account()
    mine = bearer(subject=account)
    answer = shop.http.post("/sellers/apply", json={"name": "Ada's", "description": "Engines"}, headers=mine)
    assert (answer.status_code, answer.headers["etag"], answer.headers["location"]) == (201, '"1"', "/sellers/me")
    seller = answer.json()
    assert (seller["name"], seller["status"], seller["payout_shown"]) == ("Ada's", "applied", "")
    (owner,) = seller["members"]
    assert (owner["account_id"], owner["position"]) == (str(account), "owner")
    looked = shop.http.get("/sellers/me", headers=mine)
    assert (looked.status_code, looked.json(), looked.headers["etag"]) == (200, seller, '"1"')
    told = {"name": "Ada's", "description": "Engines", "owner": str(account)}
    assert events_of(shop, seller) == [("seller.applied", account, told)]
    review(shop, seller, "reject", "no engines, please")
    looked = shop.http.get("/sellers/me", headers=mine).json()
    assert (looked["status"], looked["reason"]) == ("rejected", "no engines, please")


def test_who_acts_for_no_seller_has_none_to_see(shop: Shop):
    for headers in (bearer(subject=shop.account()), bearer(), ADMIN):
        assert_problem(shop.http.get("/sellers/me", headers=headers), 404, Code.NOT_FOUND)
    assert_problem(shop.http.get("/sellers/me", headers=bearer(Role.GUEST)), 403, Code.FORBIDDEN)


def test_only_an_account_that_buys_applies(shop: Shop):
    body = {"name": "Ada's"}
    for roles in ((Role.ADMIN,), (Role.SELLER,), (Role.GUEST,)):
        refused = shop.http.post("/sellers/apply", json=body, headers=bearer(*roles, subject=shop.account()))
        assert_problem(refused, 403, Code.FORBIDDEN)
    assert_problem(shop.http.post("/sellers/apply", json=body, headers=bearer()), 404, Code.NOT_FOUND)


def test_an_account_acts_for_one_seller_at_most_also_when_it_applies_at_once(shop: Shop):
    account = shop.account()
    mine = bearer(subject=account)
    with ThreadPoolExecutor(6) as pool:
        posts = [
            pool.submit(shop.clients[n % 2].post, "/sellers/apply", json={"name": "A"}, headers=mine) for n in range(6)
        ]
        answers = [post.result() for post in posts]
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert_problem(next(answer for answer in answers if answer.status_code == 409), 409, Code.CONFLICT)
    assert shop.value("SELECT count(*) FROM events WHERE type = 'seller.applied' AND actor = $1", account) == 1
    review(shop, shop.http.get("/sellers/me", headers=mine).json(), "approve")
    assert_problem(shop.http.post("/sellers/apply", json={"name": "B"}, headers=mine), 409, Code.CONFLICT)


def test_who_was_rejected_may_apply_anew_as_another_seller(shop: Shop):
    account = shop.account()
    first = review(shop, apply(shop, account), "reject", "not yet")
    second = apply(shop, account, name="Second try")
    assert second["id"] != first["id"]
    assert shop.http.get("/sellers/me", headers=bearer(subject=account)).json() == second
    assert events_of(shop, first)[-1] == ("seller.member_removed", account, {"account_id": str(account)})
    assert shop.value("SELECT status FROM sellers WHERE id = $1", UUID(first["id"])) == "rejected"


def test_an_owner_changes_name_description_and_payout_details(shop: Shop):
    account = shop.account()
    seller = approved(shop, account)
    noted = "SELECT count(*) FROM catalog_changes WHERE thing = $1 AND at > $2"
    before = shop.value("SELECT clock_timestamp()")

    def patch(**body: Any) -> dict[str, Any]:
        answer = shop.http.patch("/sellers/me", json=body, headers=acting(account))
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    assert patch(description="Engines of all kinds")["version"] == seller["version"] + 1
    assert patch(payout=IBAN)["payout_shown"] == MASK
    assert shop.value(noted, UUID(seller["id"]), before) == 0, "buyers see nothing of that"
    renamed = patch(name="Ada & Co.")
    assert (renamed["name"], renamed["description"], renamed["payout_shown"]) == (
        "Ada & Co.",
        "Engines of all kinds",
        MASK,
    )
    assert shop.value(noted, UUID(seller["id"]), before) == 1
    again = patch(name="Ada & Co.", payout={**IBAN, "iban": "de89370400440532013000"})
    assert again["version"] == renamed["version"], "the same details, written otherwise, change nothing"
    assert patch(payout=None)["payout_shown"] == ""
    told = [data for kind, _, data in events_of(shop, seller) if kind == "seller.changed"]
    assert [data["payout_changed"] for data in told] == [False, True, False, True]


def test_a_seller_is_changed_on_the_version_that_was_read(shop: Shop):
    account = shop.account()
    tag = f'"{approved(shop, account)["version"]}"'
    read = {**acting(account), "If-Match": tag}
    assert shop.http.patch("/sellers/me", json={"name": "First"}, headers=read).status_code == 200
    stale = shop.http.patch("/sellers/me", json={"name": "Second"}, headers=read)
    assert_problem(stale, 412, Code.STALE_VERSION, "If-Match")
    assert shop.http.get("/sellers/me", headers=acting(account)).json()["name"] == "First"


def test_staff_sees_the_seller_without_its_members_and_changes_nothing(shop: Shop):
    owner, staff = shop.account(), shop.account()
    approved(shop, owner, payout=IBAN)
    add_member(shop, owner, email_of(shop, staff))
    seen = shop.http.get("/sellers/me", headers=acting(staff)).json()
    assert (seen["members"], seen["payout_shown"]) == (None, MASK)
    for answer in (
        shop.http.patch("/sellers/me", json={"name": "Mine"}, headers=acting(staff)),
        shop.http.post("/sellers/me/members", json={"email": "a@example.com"}, headers=acting(staff)),
        shop.http.delete(f"/sellers/me/members/{owner}", headers=acting(staff)),
    ):
        assert "owner" in assert_problem(answer, 403, Code.FORBIDDEN)["detail"]


def test_nothing_is_changed_while_the_seller_is_not_approved(shop: Shop):
    account = shop.account()
    seller = apply(shop, account)
    for state, way in (("applied", "approve"), ("suspended", "reinstate")):
        for answer in (
            shop.http.patch("/sellers/me", json={"name": "Other"}, headers=acting(account)),
            shop.http.post("/sellers/me/members", json={"email": "a@example.com"}, headers=acting(account)),
        ):
            assert state in assert_problem(answer, 403, Code.FORBIDDEN)["detail"]
        # Without the role it doesn't come that far.
        refused = shop.http.patch("/sellers/me", json={"name": "Other"}, headers=bearer(subject=account))
        assert "SELLER" in assert_problem(refused, 403, Code.FORBIDDEN)["detail"]
        review(shop, seller, way)
        if way == "approve":
            # What a token in hand is worth isn't the question here: see test_seller_review.
            shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", UUID(seller["id"]))
    assert_problem(
        shop.http.patch("/sellers/me", json={"name": "Other"}, headers=acting(shop.account())), 403, Code.FORBIDDEN
    )


def test_payout_details_are_sealed_for_their_seller_and_stand_nowhere_else(shop: Shop):
    account, other = shop.account(), shop.account()
    seller = apply(shop, account, payout=IBAN)
    assert seller["payout_shown"] == MASK
    sealed = shop.value("SELECT payout FROM sellers WHERE id = $1", UUID(seller["id"]))
    opened = Sealer([SECRET_KEY]).open(sealed, SEALED_FOR, UUID(seller["id"]))
    assert msgspec.json.decode(opened, type=Payout).iban == "DE89370400440532013000"
    review(shop, seller, "approve")
    us = {"kind": "account", "holder": "A. Lovelace", "routing_number": "021000021", "account_number": "987654321"}
    changed = shop.http.patch("/sellers/me", json={"payout": us}, headers=acting(account))
    assert changed.json()["payout_shown"] == "•••• 4321"
    shown = shop.http.get("/sellers/me", headers=acting(account)).text
    listed = shop.http.get("/sellers", headers=ADMIN).text
    # Somebody who can write to the database gives themselves another's account: nobody is paid by that.
    second = approved(shop, other, payout=IBAN)
    shop.execute(
        "UPDATE sellers s SET payout = o.payout, payout_shown = o.payout_shown FROM sellers o"
        " WHERE o.id = $1 AND s.id = $2",
        UUID(seller["id"]),
        UUID(second["id"]),
    )
    repaired = shop.http.patch("/sellers/me", json={"payout": IBAN}, headers=acting(other))
    assert (repaired.status_code, repaired.json()["payout_shown"]) == (200, MASK)
    assert "payout_sealed_for_good" in shop.system.log("web")
    assert_shown_nowhere(shop, changed.text, shown, listed, repaired.text)


GOOD = {"kind": "iban", "holder": "Ada", "iban": "DE89370400440532013000"}
US = {"kind": "account", "holder": "Ada", "routing_number": "021000021", "account_number": "1234"}
BAD = [
    ({**GOOD, "iban": "DE89370400440532013001"}, "payout.iban"),
    ({**GOOD, "iban": "DE8937040044053201300"}, "payout.iban"),
    ({"kind": "iban", "holder": "Ada"}, "payout.iban"),
    ({**GOOD, "holder": "Ada\n"}, "payout.holder"),
    ({**GOOD, "bic": "?"}, "payout.bic"),
    ({**GOOD, "account_number": "1"}, "payout.account_number"),
    ({**US, "routing_number": "021000022"}, "payout.routing_number"),
    ({**US, "account_number": "123 4"}, "payout.account_number"),
    ({"kind": "cash", "holder": "Ada"}, "payout.kind"),
    ("DE89370400440532013000", "payout"),
]


@pytest.mark.parametrize(("payout", "path"), BAD)
def test_payout_details_nobody_can_have_are_a_400_that_quotes_nothing_of_them(shop: Shop, payout: Any, path: str):
    account = shop.account()
    body = {"name": "Ada's", "payout": payout}
    refused = shop.http.post("/sellers/apply", json=body, headers=bearer(subject=account))
    assert_problem(refused, 400, Code.INVALID_REQUEST, path)
    for secret in ("37040044", "021000022", "123 4"):
        assert secret not in refused.text
    assert_problem(shop.http.get("/sellers/me", headers=bearer(subject=account)), 404, Code.NOT_FOUND)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a" * 201}, "name"),
        ({"name": "a", "description": "a" * 2_001}, "description"),
        ({"name": "a", "status": "approved"}, "status"),
        ({"name": "a", "payout_shown": "x"}, "payout_shown"),
    ],
)
def test_a_bad_application_is_a_400_that_names_the_field(shop: Shop, body: dict[str, Any], path: str):
    account = shop.account()
    refused = shop.http.post("/sellers/apply", json=body, headers=bearer(subject=account))
    assert_problem(refused, 400, Code.INVALID_REQUEST, path)
    assert shop.value("SELECT count(*) FROM seller_members WHERE account_id = $1", account) == 0


def test_a_service_acts_for_the_seller_with_a_key_and_its_scope(shop: Shop):
    account = shop.account()
    approved(shop, account)

    def key(scope: Scope) -> dict[str, str]:
        body = {"name": "service", "scopes": [scope.value]}
        made = shop.http.post("/api-keys", json=body, headers=bearer(subject=account)).json()
        return {"Authorization": f"Bearer {made['key']}"}

    reads, writes = key(Scope.SELLERS_READ), key(Scope.SELLERS_WRITE)
    assert shop.http.get("/sellers/me", headers=reads).status_code == 200
    assert shop.http.patch("/sellers/me", json={"name": "By key"}, headers=writes).json()["name"] == "By key"
    refused = assert_problem(shop.http.patch("/sellers/me", json={"name": "No"}, headers=reads), 403, Code.FORBIDDEN)
    assert Scope.SELLERS_WRITE.value in refused["detail"]
