"""Checking a cart out: it becomes one order, whoever asks how often, and is open again when that is refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest

from domain.accounts.model import Role
from domain.journal.keys import digest
from domain.rejections import Code
from tests.api import people
from tests.api.carting import (
    Json,
    begun,
    body,
    check_out,
    events_of,
    filled,
    ordered,
    replace,
    reprice,
    shown,
    taken,
    usd,
)
from tests.api.shop import Shop, assert_problem, bearer, wait
from tests.api.test_lock_order import held, wait_for
from tests.api.things import ADDRESS
from tests.system import eventually

PARK = """
WITH gone AS (DELETE FROM pending WHERE id = $1::uuid RETURNING id, job)
INSERT INTO parked (id, job, attempts, generation, error) SELECT id, job, 1, 0, 'a test' FROM gone
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@contextmanager
def nothing_placed(shop: Shop) -> Iterator[None]:
    """Placing stands still, and has been made good for afterwards."""
    shop.pause()
    try:
        yield
    finally:
        shop.resume()
        shop.settle()


def orders_of(shop: Shop, who: dict[str, str]) -> list[Json]:
    found: list[Json] = shop.http.get("/orders", headers=who).json()["items"]
    return found


def test_a_cart_becomes_an_order_of_what_it_holds(shop: Shop):
    mug, plate = shop.offers(offers=2, sellers=2, price=700)
    buyer = bearer()
    cart = filled(shop, buyer, mug, plate, quantity=2, shipping_address=ADDRESS)
    job = ordered(shop, buyer, cart)
    placed = shop.http.get(f"/orders/{job['id']}", headers=buyer).json()
    assert placed["price"]["total"] == usd(2_800)
    assert placed["ship_to"]["name"] == ADDRESS["name"]
    now = shown(shop, buyer, cart)
    assert (now["status"], now["order_id"], now["quote"]) == ("ordered", job["id"], None)
    assert events_of(shop, cart) == ["cart.created", "cart.checked_out"]


def test_a_checkout_says_what_is_to_be_otherwise(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug, shipping_address=ADDRESS, email="cart@example.com")
    wish = {"shipping_address": ADDRESS | {"city": "Hamburg"}, "email": "now@example.com"}
    placed = shop.http.get(f"/orders/{ordered(shop, buyer, cart, wish)['id']}", headers=buyer).json()
    assert (placed["ship_to"]["city"], placed["email"]) == ("Hamburg", "now@example.com")
    assert shown(shop, buyer, cart)["email"] == "cart@example.com"


def test_a_guest_checks_out_with_an_address(shop: Shop):
    (mug,) = shop.offers()
    guest = people.bearer_of(shop.http.post("/auth/guest").json())
    cart = filled(shop, guest, mug)
    assert_problem(check_out(shop, guest, cart), 400, Code.INVALID_REQUEST, "email")
    assert ordered(shop, guest, cart, {"email": people.address()})["status"] == "succeeded"


def test_checkouts_at_once_under_different_keys_place_one_order(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    with ThreadPoolExecutor(8) as requests:
        asked = [requests.submit(check_out, shop, buyer, cart, Idempotency_Key=uuid4().hex) for _ in range(8)]
        answers = [request.result() for request in asked]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotent-replayed") for answer in answers].count("true") == 7
    shop.settle()
    assert len(orders_of(shop, buyer)) == 1


def test_an_ordered_cart_answers_with_its_order(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    job = ordered(shop, buyer, cart)
    again = check_out(shop, buyer, cart, Idempotency_Key=uuid4().hex, **wait())
    assert (again.status_code, again.json()["id"]) == (200, job["id"])
    assert again.headers["idempotent-replayed"] == "true"
    assert_problem(replace(shop, buyer, cart, body(mug)), 409, Code.CART_STATE)
    assert shop.http.delete(f"/carts/{cart['id']}", headers=buyer).status_code == 204
    assert len(orders_of(shop, buyer)) == 1


def test_a_changed_price_refuses_the_order_and_leaves_the_cart_to_be_tried_again(shop: Shop):
    (mug,) = shop.offers(price=1_000)
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    reprice(shop, mug, 1_100)
    refused = check_out(shop, buyer, cart, **wait()).json()
    assert (refused["status"], refused["code"]) == (409, Code.PRICE_CHANGED)
    now = shown(shop, buyer, cart)
    assert (now["status"], now["lines"][0]["unit_price"], now["lines"][0]["present_price"]) == (
        "open",
        usd(1_000),
        usd(1_100),
    )
    assert replace(shop, buyer, cart, body(mug)).status_code == 200
    job = ordered(shop, buyer, cart)
    assert job["result"]["total"] == usd(1_100)
    assert len(orders_of(shop, buyer)) == 1


def test_while_its_order_is_queued_a_cart_stands_still(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    with nothing_placed(shop):
        job = check_out(shop, buyer, cart).json()
        assert (shown(shop, buyer, cart)["status"], shown(shop, buyer, cart)["order_id"]) == ("ordering", job["id"])
        assert_problem(replace(shop, buyer, cart, body(mug)), 409, Code.CART_STATE)
        assert_problem(shop.http.delete(f"/carts/{cart['id']}", headers=buyer), 409, Code.CART_STATE)
        again = check_out(shop, buyer, cart, If_Match='"1"')
        assert (again.status_code, again.json()["id"]) == (202, job["id"])
    assert shown(shop, buyer, cart)["status"] == "ordered"


def test_a_placing_that_is_refused_later_opens_the_cart_again(shop: Shop):
    (mug,) = shop.offers(units=1)
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    with nothing_placed(shop):
        other = taken(shop, mug)
        job = check_out(shop, buyer, cart).json()
    now = shown(shop, buyer, cart)
    assert (now["status"], now["order_id"], now["refusal"]["code"]) == ("open", job["id"], "out_of_stock")
    assert shop.http.post(f"/orders/{other['id']}/cancel", headers=bearer(Role.ADMIN) | wait()).status_code == 200
    assert ordered(shop, buyer, cart)["id"] != job["id"]
    assert len(orders_of(shop, buyer)) == 1


def test_a_cancelled_job_opens_the_cart_again(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    with nothing_placed(shop):
        job = check_out(shop, buyer, cart).json()
        assert shop.http.post(f"/jobs/{job['id']}/cancel", headers=buyer).status_code == 200
        assert shown(shop, buyer, cart)["status"] == "open"
    assert orders_of(shop, buyer) == []


def test_a_cart_whose_order_waits_for_an_operator_is_not_ordered_a_second_time(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    with nothing_placed(shop):
        job = check_out(shop, buyer, cart).json()
        shop.execute(PARK, job["id"])
    assert shown(shop, buyer, cart)["status"] == "ordering"
    assert check_out(shop, buyer, cart).json()["id"] == job["id"]
    retried = shop.http.post(f"/jobs/{job['id']}/retry", headers=bearer(Role.ADMIN))
    assert retried.status_code == 202, retried.text
    eventually(lambda: shown(shop, buyer, cart)["status"] == "ordered")


def test_a_cancelled_order_leaves_its_cart_ordered(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    job = ordered(shop, buyer, cart)
    assert shop.http.post(f"/orders/{job['id']}/cancel", headers=buyer | wait()).status_code == 200
    assert shown(shop, buyer, cart)["status"] == "ordered"


@pytest.mark.parametrize("first", ["checkout", "edit"])
def test_an_edit_and_a_checkout_at_once_follow_each_other(shop: Shop, first: str):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    steps = {
        "checkout": lambda: check_out(shop, buyer, cart),
        "edit": lambda: replace(shop, buyer, cart, body(mug, quantity=5)),
    }
    with nothing_placed(shop), ThreadPoolExecutor(2) as requests:
        with held(shop, "carts", UUID(cart["id"])):
            asked = {}
            for number, name in enumerate([first, *(steps.keys() - {first})], start=1):
                asked[name] = requests.submit(steps[name])
                wait_for(shop, number)
        edit, checkout = asked["edit"].result(), asked["checkout"].result()
    assert (checkout.status_code, edit.status_code) == (202, 409 if first == "checkout" else 200)
    placed = shop.http.get(f"/orders/{checkout.json()['id']}", headers=buyer).json()
    assert placed["lines"][0]["quantity"] == (1 if first == "checkout" else 5)


def test_a_checkout_that_is_cut_off_has_ordered_nothing_and_closed_nothing(shop: Shop):
    """Its connection breaks at its last statement: nothing of it stays, and the cart is checked out again."""
    (mug,) = shop.offers()
    account, key = uuid4(), uuid4().hex
    buyer = bearer(subject=account)
    cart = filled(shop, buyer, mug)
    blocked = "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint) SELECT $1, $2, $1, $2"
    with ThreadPoolExecutor(1) as requests:
        shop.execute("BEGIN")
        shop.execute(blocked, account, digest(key.encode()))
        cut_off = requests.submit(check_out, shop, buyer, cart, Idempotency_Key=key)
        wait_for(shop, 1)
        shop.fetch(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS w")
        assert cut_off.result().status_code == 503
        shop.execute("ROLLBACK")
    assert shown(shop, buyer, cart) == cart
    assert events_of(shop, cart) == ["cart.created"]
    again = check_out(shop, buyer, cart, Idempotency_Key=key, **wait())
    assert (again.status_code, again.json()["status"]) == (200, "succeeded")
    assert len(orders_of(shop, buyer)) == 1


def test_a_checkout_is_for_the_version_that_was_read(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    assert replace(shop, buyer, cart, body(mug, quantity=2)).status_code == 200
    assert_problem(check_out(shop, buyer, cart, If_Match='"1"'), 412, Code.STALE_VERSION, "If-Match")
    assert check_out(shop, buyer, cart, If_Match='"2"', **wait()).status_code == 200


def test_a_key_is_one_request_s(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart, other = filled(shop, buyer, mug), filled(shop, buyer, mug)
    key = uuid4().hex
    first = check_out(shop, buyer, cart, Idempotency_Key=key, **wait()).json()
    again = check_out(shop, buyer, cart, Idempotency_Key=key, **wait())
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (first["id"], "true")
    wish = {"promotions": "best_effort"}
    assert_problem(check_out(shop, buyer, cart, wish, Idempotency_Key=key), 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert_problem(check_out(shop, buyer, other, Idempotency_Key=key), 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert shown(shop, buyer, other)["status"] == "open"


def test_an_empty_cart_and_another_s_are_not_checked_out(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    assert_problem(check_out(shop, buyer, begun(shop, buyer, {"currency": "USD"})), 409, Code.CART_STATE)
    cart = filled(shop, buyer, mug)
    assert_problem(check_out(shop, bearer(), cart), 404, Code.NOT_FOUND)
    assert_problem(check_out(shop, bearer(Role.ADMIN), cart), 404, Code.NOT_FOUND)
