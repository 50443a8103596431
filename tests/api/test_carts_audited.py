"""What the routes of carts leave behind: the audit finds nothing wrong with it, and nobody learns from it where to."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from domain.rejections import Code
from tests.api import people
from tests.api.carting import body, check_out, filled, ordered, replace, reprice, shown
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.api.test_accounts_audited import audit
from tests.api.things import ADDRESS
from tests.system import eventually


@pytest.fixture
def own_shop(make_shop: Callable[[], Shop]) -> Shop:
    shop = make_shop()
    shop.web(EMAIL_VERIFICATION="optional", BACKLOG_MAX="5")
    return shop


def shop_around(shop: Shop) -> None:
    mug, plate, bowl = shop.offers(offers=3, sellers=2)
    guest = shop.http.post("/auth/guest").json()
    email = people.address()
    assert people.post(shop, "/auth/register", email=email, password=people.PASSWORD).status_code == 202
    me = people.bearer_of(people.log_in(shop, email))
    mine = filled(shop, me, mug, bowl)
    filled(shop, people.bearer_of(guest), mug, plate, quantity=2)
    answer = people.post(shop, "/auth/login", email=email, password=people.PASSWORD, guest_token=guest["access_token"])
    assert answer.json()["carts_merged"] == 1
    gone = filled(shop, me, plate)
    assert shop.http.delete(f"/carts/{gone['id']}", headers=me).status_code == 204
    reprice(shop, bowl, 1_500)
    assert check_out(shop, me, mine, **wait()).json()["code"] == Code.PRICE_CHANGED
    assert replace(shop, me, mine, body(bowl, plate)).status_code == 200
    ordered(shop, me, mine)


def test_the_audit_finds_nothing_wrong_with_what_carts_leave(own_shop: Shop):
    own_shop.system.worker()
    shop_around(own_shop)
    own_shop.settle()
    assert [check for check in audit(own_shop).checks if check.violations] == []
    kinds = own_shop.value("SELECT count(DISTINCT type) FROM events WHERE type LIKE 'cart.%'")
    assert kinds == 5


def test_where_a_cart_goes_stands_in_no_event_and_no_log(own_shop: Shop):
    (mug,) = own_shop.offers()
    own_shop.system.worker()
    city, email = f"City{uuid4().hex}", people.address()
    cart = filled(own_shop, bearer(), mug, shipping_address=ADDRESS | {"city": city}, email=email)
    assert cart["shipping_address"]["city"] == city
    told = own_shop.value("SELECT string_agg(data::text, ' ') FROM events") + own_shop.system.log("web")
    assert city not in told
    assert email not in told


def test_past_its_limit_a_backlog_takes_no_checkout_and_the_cart_stays_open(own_shop: Shop):
    (mug,) = own_shop.offers()
    buyer = bearer()
    known, cart = filled(own_shop, buyer, mug), filled(own_shop, buyer, mug)
    job = check_out(own_shop, buyer, known).json()
    for _ in range(5):
        assert own_shop.http.post("/orders", json=order(mug), headers=bearer()).status_code == 202
    eventually(lambda: own_shop.http.post("/orders", json=order(mug), headers=bearer()).status_code == 503, 10)
    assert_problem(check_out(own_shop, buyer, cart), 503, Code.OVERLOADED)
    assert shown(own_shop, buyer, cart) == cart
    assert check_out(own_shop, buyer, known).json()["id"] == job["id"]
