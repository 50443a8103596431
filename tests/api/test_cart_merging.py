"""A guest logs in: the guest's carts become the account's."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec import Struct

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api import people
from tests.api.carting import Json, begun, body, check_out, events_of, filled, ordered, reprice, shown, usd
from tests.api.people import PASSWORD, bearer_of
from tests.api.shop import Shop, assert_problem, bearer, line
from tests.api.test_lock_order import held, wait_for
from tests.builders import token


class Visitor(Struct, frozen=True):
    """Somebody with an account who looks around as a guest first."""

    email: str
    guest: str

    @property
    def as_guest(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.guest}"}


@pytest.fixture
def visitor(shop: Shop) -> Visitor:
    return Visitor(people.register(shop), shop.http.post("/auth/guest").json()["access_token"])


def logging_in(shop: Shop, who: Visitor, **more: Any) -> httpx.Response:
    return people.post(shop, "/auth/login", email=who.email, **{"password": PASSWORD, "guest_token": who.guest} | more)


def logged_in(shop: Shop, who: Visitor, **more: Any) -> Json:
    answer = logging_in(shop, who, **more)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def carts_of(shop: Shop, who: dict[str, str]) -> list[Json]:
    return [shown(shop, who, cart) for cart in shop.http.get("/carts", headers=who).json()["items"]]


def held_by(cart: Json) -> dict[str, int]:
    return {row["variant_id"]: row["quantity"] for row in cart["lines"]}


def test_a_guests_cart_becomes_the_accounts(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    cart = filled(shop, visitor.as_guest, mug, quantity=2)
    signed_in = logged_in(shop, visitor)
    assert signed_in["carts_merged"] == 1
    (mine,) = carts_of(shop, bearer_of(signed_in))
    assert (mine["id"], mine["owner"], held_by(mine)) == (cart["id"], signed_in["account_id"], held_by(cart))
    assert carts_of(shop, visitor.as_guest) == []
    assert events_of(shop, cart) == ["cart.created", "cart.moved"]


def test_it_is_added_to_the_newest_one_of_its_currency_at_the_prices_the_guest_was_shown(shop: Shop, visitor: Visitor):
    mug, plate = shop.offers(offers=2, price=1_000)
    (euro,) = shop.offers(currency="EUR")
    me = bearer_of(logged_in(shop, visitor))
    old, mine = filled(shop, me, plate), filled(shop, me, mug, quantity=2)
    reprice(shop, mug, 1_100)
    theirs = filled(shop, visitor.as_guest, mug, plate, quantity=3)
    begun(shop, visitor.as_guest, {"currency": "EUR", "lines": [line(euro)]})
    assert logged_in(shop, visitor)["carts_merged"] == 2
    euros, now, untouched = carts_of(shop, me)
    assert (euros["currency"], untouched["lines"]) == ("EUR", old["lines"])
    assert now["id"] == mine["id"]
    assert held_by(now) == {str(mug.variant_id): 5, str(plate.variant_id): 3}
    assert [row["unit_price"] for row in now["lines"]] == [usd(1_100), usd(1_000)]
    assert now["version"] == mine["version"] + 1
    assert events_of(shop, mine) == ["cart.created", "cart.merged"]
    assert events_of(shop, theirs) == ["cart.created", "cart.removed"]


def test_merging_again_does_nothing(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    filled(shop, visitor.as_guest, mug)
    me = bearer_of(logged_in(shop, visitor))
    before = carts_of(shop, me)
    assert logged_in(shop, visitor)["carts_merged"] == 0
    assert carts_of(shop, me) == before


def test_two_log_ins_at_once_merge_a_cart_once(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    me = bearer_of(logged_in(shop, visitor))
    filled(shop, me, mug)
    filled(shop, visitor.as_guest, mug, quantity=2)
    with ThreadPoolExecutor(4) as requests:
        merged = list(requests.map(lambda _: logged_in(shop, visitor)["carts_merged"], range(4)))
    assert sorted(merged) == [0, 0, 0, 1]
    (now,) = carts_of(shop, me)
    assert held_by(now) == {str(mug.variant_id): 3}


def test_a_guest_without_a_cart_and_nobody_at_all_merge_nothing(shop: Shop, visitor: Visitor):
    assert logged_in(shop, visitor)["carts_merged"] == 0
    assert logged_in(shop, visitor, guest_token=None)["carts_merged"] == 0


def test_a_token_that_will_not_do_merges_nothing_and_fails_no_log_in(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    other = UUID(shop.http.post("/auth/guest").json()["guest_id"])
    buyer = UUID(int=other.int + 1)
    filled(shop, bearer(Role.GUEST, subject=other), mug)
    filled(shop, bearer(subject=buyer), mug)
    expired = token(other, Role.GUEST, seconds=-10)
    forged = visitor.guest[:-4] + "AAAA"
    for bad in (expired, forged, "no token", "", token(buyer), token(other, Role.GUEST, Role.BUYER)):
        assert logged_in(shop, visitor, guest_token=bad)["carts_merged"] == 0
    for owner in (other, buyer):
        assert shop.value("SELECT count(*) FROM carts WHERE owner = $1", owner) == 1


def test_an_account_that_does_not_buy_has_no_carts_to_merge_into(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    cart = filled(shop, visitor.as_guest, mug)
    account = UUID(logged_in(shop, visitor, guest_token=None)["account_id"])
    answer = shop.http.put(f"/accounts/{account}/roles", json={"roles": []}, headers=bearer(Role.ADMIN))
    assert answer.status_code == 200, answer.text
    assert logged_in(shop, visitor)["carts_merged"] == 0
    assert shown(shop, visitor.as_guest, cart) == cart


def test_a_log_in_that_fails_merges_nothing_and_answers_as_without_a_guest(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    cart = filled(shop, visitor.as_guest, mug)
    wrong = logging_in(shop, visitor, password="not the password")
    unknown = logging_in(shop, Visitor(people.address(), visitor.guest))
    without = logging_in(shop, visitor, password="not the password", guest_token=None)
    assert_problem(wrong, 401, Code.INVALID_CREDENTIALS)
    assert wrong.json() == unknown.json() == without.json()
    assert shown(shop, visitor.as_guest, cart) == cart


def test_what_is_being_ordered_and_what_was_ordered_stay_the_guests(shop: Shop, visitor: Visitor):
    (mug,) = shop.offers()
    mail = {"email": people.address()}
    done = filled(shop, visitor.as_guest, mug)
    ordered(shop, visitor.as_guest, done, mail)
    queued = filled(shop, visitor.as_guest, mug)
    shop.pause()
    try:
        check_out(shop, visitor.as_guest, queued, mail)
        assert logged_in(shop, visitor)["carts_merged"] == 0
    finally:
        shop.resume()
        shop.settle()
    assert [cart["status"] for cart in carts_of(shop, visitor.as_guest)] == ["ordered", "ordered"]


@pytest.mark.parametrize("first", ["checkout", "log in"])
def test_a_checkout_and_a_log_in_at_once_follow_each_other(shop: Shop, visitor: Visitor, first: str):
    (mug,) = shop.offers()
    cart = filled(shop, visitor.as_guest, mug)
    steps = {
        "checkout": lambda: check_out(shop, visitor.as_guest, cart, {"email": people.address()}),
        "log in": lambda: logging_in(shop, visitor),
    }
    shop.pause()
    try:
        with ThreadPoolExecutor(2) as requests:
            with held(shop, "carts", UUID(cart["id"])):
                asked = {}
                for number, name in enumerate([first, *(steps.keys() - {first})], start=1):
                    asked[name] = requests.submit(steps[name])
                    wait_for(shop, number)
            checkout, log_in = asked["checkout"].result(), asked["log in"].result()
    finally:
        shop.resume()
        shop.settle()
    merged = first == "log in"
    assert (checkout.status_code, log_in.json()["carts_merged"]) == (404 if merged else 202, int(merged))
    owner = log_in.json()["account_id"] if merged else cart["owner"]
    assert shop.value("SELECT owner::text FROM carts WHERE id = $1::uuid", cart["id"]) == owner


def test_a_cart_that_has_no_room_for_anothers_lines_stays_beside_it(shop: Shop, visitor: Visitor):
    offers = shop.offers(offers=101)
    me = bearer_of(logged_in(shop, visitor))
    full = begun(shop, me, body(*offers[:100]))
    theirs = begun(shop, visitor.as_guest, body(offers[100]))
    assert logged_in(shop, visitor)["carts_merged"] == 1
    assert {cart["id"] for cart in carts_of(shop, me)} == {full["id"], theirs["id"]}
