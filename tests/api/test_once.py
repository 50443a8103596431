"""Idempotency-Key on routes that answer at once: each is carried out once, whoever asks again, and whatever dies."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from api.access import ACCESS
from api.app import ROUTERS
from api.context import HELD, Held
from api.headers import heeds_keys
from api.once import Once
from api.submission import ring_for
from domain.accounts.model import Role
from domain.journal.sweeps import PruneJournal
from domain.rejections import Code
from infra.clock import new_id
from tests.api import goods, selling, tree
from tests.api.entries import ENTRIES, Entry
from tests.api.goods import Seller
from tests.api.principals import Persona, Principals, Who
from tests.api.shop import AT_ONCE, Shop, assert_nothing_written, assert_problem, bearer, order, wait
from tests.api.things import ADDRESS, Named, Things
from tests.docs.access_page import Row, documented
from tests.system import eventually

READS = {"GET", "HEAD", "OPTIONS"}
PARKED = "INSERT INTO parked (id, job, attempts, error) VALUES ($1, 'expire_reservations', 3, 'as a test')"
COMMAND = "INSERT INTO commands (id, job, principal, payload) VALUES ($1, 'expire_reservations', $2, '{}')"
A_SELLER = "INSERT INTO sellers (id, name, status) VALUES ($1, 'A seller', $2)"
TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN ('workers', 'runs', 'subscriptions', 'stock_history', 'seller_sales', 'notifications')
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def served() -> dict[str, HTTPRouteHandler]:
    """What can be asked for and isn't a mere read, by method and path."""
    app = Litestar(route_handlers=list(ROUTERS), openapi_config=None, logging_config=None)
    handlers = (
        (route.path_format, handler) for route in app.routes for handler in getattr(route, "route_handlers", ())
    )
    return {f"{method} {path}": h for path, h in handlers for method in h.http_methods if method not in READS}


SERVED = served()
ONCE = [row for row in documented() if isinstance(SERVED.get(row.route), Once)]


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


def contents(shop: Shop) -> dict[str, str]:
    """A hash of all that each table holds, but for what beats by itself and what follows from events some time."""
    shop.settle()
    tables = [row["relname"] for row in shop.fetch(TABLES)]
    assert {"idempotency", "events", "addresses", "commands"} <= set(tables)
    queries = (
        f"SELECT '{name}' AS t, coalesce(md5(string_agg(md5(r::text), '' ORDER BY r::text)), '') AS h FROM {name} r"
        f" {AT_ONCE.get(name, '')}"
        for name in tables
    )
    return {row["t"]: row["h"] for row in shop.fetch(" UNION ALL ".join(queries))}


def said(answer: httpx.Response) -> tuple[Any, ...]:
    """What an answer says, without what is this one's alone."""
    fields = ("content-type", "etag", "location", "cache-control", "retry-after")
    return answer.status_code, answer.content, *(answer.headers.get(name) for name in fields)


# --- Every route ----------------------------------------------------------------------------------------------------


def test_every_write_of_somebody_known_heeds_keys_but_where_it_is_about_who_they_are():
    deaf = {name for name, handler in SERVED.items() if handler.opt[ACCESS].roles and not heeds_keys(handler)}
    assert deaf == {"POST /auth/password/change", "POST /orders/quote"}
    # A webhook brings an id of its own, which its command is kept under.
    assert {name for name, handler in SERVED.items() if not handler.opt[ACCESS].roles} == {
        "POST /webhooks/{gateway}",
        "POST /webhooks/carriers/{carrier}",
        # Switching something off twice switches it off.
        "POST /mails/unsubscribe",
        *(
            f"POST /auth/{name}"
            for name in (
                "register",
                "verify-email",
                "password/forgot",
                "password/reset",
                "login",
                "refresh",
                "logout",
                "guest",
            )
        ),
    }


def _complete_product(things: Things, owner: Persona) -> Named:
    assert owner.seller_id is not None
    seller = Seller(owner.seller_id, owner.id, bearer(Role.SELLER, subject=owner.id))
    return {"product_id": goods.shirt(things.shop, seller, goods.shirts(things.shop))["id"]}


def _parked_job(things: Things, owner: Persona) -> Named:
    job = new_id()
    things.shop.execute(COMMAND, job, owner.id)
    things.shop.execute(PARKED, job)
    return {"job_id": str(job)}


def _seller_that_is(status: str) -> Callable[[Things, Persona], Named]:
    def make(things: Things, _: Persona) -> Named:
        seller = new_id()
        things.shop.execute(A_SELLER, seller, status)
        return {"seller_id": str(seller)}

    return make


def _suspended_account(things: Things, _: Persona) -> Named:
    account = things.shop.account()
    things.shop.execute("UPDATE accounts SET status = 'suspended' WHERE id = $1", account)
    return {"account_id": str(account)}


def _new_member(things: Things) -> Any:
    return {"email": selling.email_of(things.shop, things.shop.account(Role.BUYER))}


# Entries of ``entries.py`` do for being refused; these are carried out.
CARRIED_OUT = {
    "PUT /products/{product_id}": Entry(_complete_product, {"title": "Another thing"}),
    "POST /products/{product_id}/submit": Entry(_complete_product),
    "POST /products/{product_id}/variants/generate": Entry(_complete_product),
    "POST /jobs/{job_id}/cancel": Entry(_parked_job),
    "POST /jobs/{job_id}/retry": Entry(_parked_job),
    "POST /accounts/{account_id}/reactivate": Entry(_suspended_account),
    "POST /sellers/apply": Entry(body={"name": "Analytical Engines"}),
    "POST /sellers/me/members": Entry(body=_new_member),
    "POST /sellers/{seller_id}/approve": Entry(_seller_that_is("applied")),
    "POST /sellers/{seller_id}/reject": Entry(_seller_that_is("applied"), {"reason": "as a test"}),
    "POST /sellers/{seller_id}/suspend": Entry(_seller_that_is("approved"), {"reason": "as a test"}),
    "POST /sellers/{seller_id}/reinstate": Entry(_seller_that_is("suspended")),
}


@pytest.fixture(scope="module")
def principals(small_shop: Shop) -> Principals:
    return Principals(small_shop)


@pytest.fixture(scope="module")
def things(small_shop: Shop) -> Things:
    return Things(small_shop)


def _who(row: Row) -> Who:
    """Somebody whose route it is."""
    if row.whose.owner == "seller" or row.roles == {Role.SELLER}:
        return Who.OWNER
    return Who.BUYER if Role.BUYER in row.roles else Who.ADMIN


@pytest.mark.parametrize("row", ONCE, ids=[row.route for row in ONCE])
def test_a_repeated_request_is_answered_the_same_and_changes_nothing(
    small_shop: Shop, things: Things, principals: Principals, row: Row
):
    shop = small_shop
    entry = CARRIED_OUT.get(row.route) or ENTRIES[row.route]
    who = _who(row)
    persona = principals.persona(who)
    assert persona is not None
    owner = persona if row.whose.owner else principals.somebody_else
    named = entry.thing(things, owner) if entry.thing is not None and "{" in row.route else {}
    method, _, path = row.route.partition(" ")
    headers = principals.header(who, row.roles, row.scope) | key()
    body = entry.body(things) if callable(entry.body) else entry.body

    def send(client: httpx.Client, **more: str) -> httpx.Response:
        fields = headers | {name.replace("_", "-"): value for name, value in more.items()}
        return client.request(method, path.format(**named), json=body, headers=fields)

    empty = contents(shop)
    first = send(shop.clients[0])
    assert first.is_success, first.text
    assert "idempotent-replayed" not in first.headers
    before = contents(shop)
    changed = {table for table in before if before[table] != empty[table]}
    assert "idempotency" in changed
    again = send(shop.clients[1])
    assert again.headers["idempotent-replayed"] == "true"
    assert said(again) == said(first)
    assert_problem(send(shop.clients[0], If_Match='"77"'), 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert contents(shop) == before


# --- One key --------------------------------------------------------------------------------------------------------


def addresses(shop: Shop, account: UUID) -> int:
    return int(shop.value("SELECT count(*) FROM addresses WHERE account_id = $1", account))


def test_twenty_at_once_to_two_processes_are_carried_out_once(shop: Shop):
    account = shop.account()
    headers = bearer(subject=account) | key()
    with ThreadPoolExecutor(20) as pool:
        posted = pool.map(lambda n: shop.clients[n % 2].post("/addresses", json=ADDRESS, headers=headers), range(20))
        answers = list(posted)
    assert {answer.status_code for answer in answers} == {201}
    assert len({said(answer) for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert addresses(shop, account) == 1
    made = answers[0].json()["id"]
    assert shop.value("SELECT count(*) FROM events WHERE stream = $1", UUID(made)) == 1


def test_twenty_different_requests_with_one_key_at_once_leave_one_standing(shop: Shop):
    account = shop.account()
    headers = bearer(subject=account) | key()

    def send(number: int) -> int:
        body = ADDRESS | {"name": f"Number {number}"}
        return shop.clients[number % 2].post("/addresses", json=body, headers=headers).status_code

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(send, range(20))) == [201] + [422] * 19
    assert addresses(shop, account) == 1


def test_the_same_request_written_differently_is_the_same(shop: Shop):
    headers = bearer(subject=shop.account()) | key() | {"Content-Type": "application/json"}
    first = shop.http.post("/addresses", json=ADDRESS, headers=headers)
    rewritten = '{\n "country": "DE", "city": "\\u0043",\t"line1": "B", "name": "A"}'
    assert said(shop.http.post("/addresses", content=rewritten, headers=headers)) == said(first)
    other = ADDRESS | {"city": "Q"}
    assert_problem(shop.http.post("/addresses", json=other, headers=headers), 422, Code.IDEMPOTENCY_KEY_REUSED)


def test_a_key_is_its_principals_own(shop: Shop):
    same = key()
    accounts = [shop.account() for _ in range(3)]
    for account in accounts:
        answer = shop.http.post("/addresses", json=ADDRESS, headers=bearer(subject=account) | same)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert [addresses(shop, account) for account in accounts] == [1, 1, 1]


def test_a_key_of_a_command_is_no_key_for_anything_else(shop: Shop):
    (offer,) = shop.offers()
    headers = bearer(subject=shop.account()) | key()
    placed = shop.http.post("/orders", json=order(offer), headers=headers | wait())
    before = shop.counts()
    assert_problem(shop.http.post("/addresses", json=ADDRESS, headers=headers), 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert_nothing_written(before, shop.counts())
    again = shop.http.post("/orders", json=order(offer), headers=headers | wait())
    assert again.json() == placed.json()


def test_a_key_of_anything_else_is_no_key_for_a_command(shop: Shop):
    (offer,) = shop.offers()
    headers = bearer(subject=shop.account()) | key()
    added = shop.http.post("/addresses", json=ADDRESS, headers=headers)
    before = shop.counts()
    assert_problem(shop.http.post("/orders", json=order(offer), headers=headers), 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert_nothing_written(before, shop.counts())
    assert said(shop.http.post("/addresses", json=ADDRESS, headers=headers)) == said(added)


def test_a_command_takes_the_key_of_a_request_that_has_not_ended_and_waits_for_nobody(shop: Shop):
    (offer,) = shop.offers()
    account = shop.account()
    headers = bearer(subject=account) | key()
    shop.execute("BEGIN")
    shop.execute("SELECT id FROM accounts WHERE id = $1 FOR UPDATE", account)
    with ThreadPoolExecutor(1) as pool:
        try:
            adding = pool.submit(shop.http.post, "/addresses", json=ADDRESS, headers=headers)
            eventually(lambda: shop.value(WAITING) > 0)
            placed = shop.clients[1].post("/orders", json=order(offer), headers=headers)
            assert placed.status_code == 202
        finally:
            shop.execute("COMMIT")
        assert_problem(adding.result(), 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert addresses(shop, account) == 0
    shop.settle()


def test_a_refusal_is_not_kept_and_the_request_is_decided_again(shop: Shop):
    taken = tree.category(shop)
    headers = bearer(Role.ADMIN) | key()
    body = {"name": tree.a_name(), "slug": taken["slug"]}
    before = shop.counts()
    assert_problem(shop.http.post("/categories", json=body, headers=headers), 409, Code.DUPLICATE_SLUG, "slug")
    assert_nothing_written(before, shop.counts())
    assert shop.http.delete(f"/categories/{taken['id']}", headers=bearer(Role.ADMIN)).status_code == 204
    made = shop.http.post("/categories", json=body, headers=headers)
    assert (made.status_code, "idempotent-replayed" in made.headers) == (201, False)


def test_what_fails_on_a_constraint_is_refused_and_its_key_is_free(shop: Shop, seller: Seller):
    one, two = (shop.offer_of(seller.id) for _ in range(2))
    terms = {"sku": new_id().hex, "price": {"amount": 1500, "currency": "USD"}}
    first = f"/offers/{one.variant_id}/{seller.id}"
    assert shop.http.put(first, json=terms, headers=seller.header).status_code == 200
    headers = seller.header | key()
    second = f"/offers/{two.variant_id}/{seller.id}"
    assert_problem(shop.http.put(second, json=terms, headers=headers), 409, Code.DUPLICATE_SKU, "sku")
    assert shop.http.put(second, json=terms | {"sku": new_id().hex}, headers=headers).status_code == 200


@pytest.mark.parametrize("bad", [b"", b"a\tb", b"k" * 256, "schl\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode()])
def test_a_bad_key_is_a_400(shop: Shop, bad: bytes):
    account = shop.account()
    headers = {name.encode(): value.encode() for name, value in bearer(subject=account).items()}
    answer = shop.http.post("/addresses", json=ADDRESS, headers=headers | {b"Idempotency-Key": bad})
    assert_problem(answer, 400, Code.INVALID_REQUEST, "Idempotency-Key")
    assert addresses(shop, account) == 0


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (bearer(Role.GUEST), 403)])
def test_who_may_not_do_it_has_no_key(shop: Shop, headers: dict[str, str], status: int):
    before = shop.counts()
    assert shop.http.post("/addresses", json=ADDRESS, headers=headers | key()).status_code == status
    assert_nothing_written(before, shop.counts())


def test_a_bell_for_what_is_not_committed_yet_waits_for_that():
    bells: set[tuple[str, str]] = set()
    request: Any = SimpleNamespace(scope={HELD: Held(None, bells)})
    ring_for(request, PruneJournal())
    assert bells == {("prune_journal", "sweeps")}


# --- Secrets --------------------------------------------------------------------------------------------------------


def test_a_secret_that_is_shown_once_is_shown_again_to_who_repeats_the_request_and_stored_nowhere(shop: Shop):
    account = shop.account()
    headers = bearer(subject=account) | key()
    body = {"name": "a warehouse", "scopes": ["jobs:read"]}
    made = shop.http.post("/api-keys", json=body, headers=headers)
    again = shop.clients[1].post("/api-keys", json=body, headers=headers)
    assert said(again) == said(made)
    assert made.headers["cache-control"] == "no-store"
    (row,) = shop.fetch("SELECT * FROM idempotency WHERE principal = $1", account)
    for secret in (made.json()["key"], "a warehouse", headers["Idempotency-Key"]):
        assert not any(secret.encode() in bytes(value) for value in row.values() if isinstance(value, bytes))


def test_an_answer_opens_when_there_is_a_new_key_of_encryption(make_shop: Callable[[], Shop]):
    shop = make_shop()
    headers = bearer(subject=shop.account()) | key()
    before = shop.web("before").post("/addresses", json=ADDRESS, headers=headers)
    after = shop.web("after", ENCRYPTION_KEYS="a new key of encryption 0123456789")
    assert said(after.post("/addresses", json=ADDRESS, headers=headers)) == said(before)


# --- What dies ------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_before_it_commits_has_done_nothing_and_the_request_is_carried_out_then(
    make_shop: Callable[[], Shop],
):
    shop = make_shop()
    first, second = shop.web("first"), shop.web("second")
    account = shop.account()
    headers = bearer(subject=account) | key()
    shop.execute("BEGIN")
    shop.execute("SELECT id FROM accounts WHERE id = $1 FOR UPDATE", account)
    with ThreadPoolExecutor(1) as pool:
        try:
            adding = pool.submit(first.post, "/addresses", json=ADDRESS, headers=headers)
            eventually(lambda: shop.value(WAITING) > 0)
            shop.system.kill("first")
            with pytest.raises(httpx.TransportError):
                adding.result()
        finally:
            shop.execute("COMMIT")
    answer = second.post("/addresses", json=ADDRESS, headers=headers)
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert addresses(shop, account) == 1
    assert shop.value("SELECT count(*) FROM events WHERE actor = $1", account) == 1
