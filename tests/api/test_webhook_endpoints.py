"""Webhook endpoints and deliveries over HTTP: secrets once, each their own, every try in the log."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api import goods
from tests.api.shop import Shop, assert_problem, bearer
from tests.system import eventually

PATH = "/webhook-endpoints"
ADMIN = bearer(Role.ADMIN)
# What none of these tests makes happen: nothing is to be left on its way to nowhere.
WISH = {"url": "https://shop.example/hooks", "events": ["order.chargeback_fee_charged"]}


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A server that takes webhooks; ``answers`` are the statuses of the next ones."""
    taken: list[tuple[dict[str, str], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            server: Any = self.server
            self.send_response(server.answers.pop(0) if server.answers else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.taken, server.answers = taken, []
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def inside(make_shop: Callable[[], Shop]) -> Shop:
    """A shop whose webhooks may go to this machine."""
    shop = make_shop()
    shop.web(WEBHOOK_ALLOW_PRIVATE="on")
    shop.system.worker(WEBHOOK_ALLOW_PRIVATE="on")
    return shop


def made(shop: Shop, header: dict[str, str], **wish: Any) -> dict[str, Any]:
    answer = shop.http.post(PATH, json=WISH | wish, headers=header)
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.json()
    return endpoint


def ended(shop: Shop, delivery: str, header: dict[str, str], *, attempts: int = 1) -> dict[str, Any]:
    """A delivery once it was tried so often."""

    def look() -> Any:
        found = shop.http.get(f"/webhook-deliveries/{delivery}", headers=header).json()
        return found if found["delivery"]["attempts"] >= attempts else None

    found: dict[str, Any] = eventually(look)
    return found


def test_a_secret_is_shown_once_and_both_sign_after_a_rotation(inside: Shop, receiver: Any):
    seller = goods.seller(inside)
    first = made(inside, seller.header, url=receiver.url)
    assert first["secret"].startswith("whsec_")
    shown = inside.http.get(f"{PATH}/{first['id']}", headers=seller.header)
    assert "secret" not in shown.json()
    assert first["secret"].removeprefix("whsec_") not in shown.text
    second = inside.http.post(f"{PATH}/{first['id']}/rotate", headers=seller.header)
    assert (second.status_code, second.headers["cache-control"]) == (201, "no-store")
    delivery = inside.http.post(f"{PATH}/{first['id']}/test", headers=seller.header).json()
    ended(inside, delivery["id"], seller.header)
    ((fields, body),) = receiver.taken
    for secret in (first["secret"], second.json()["secret"]):
        assert Webhook(secret).verify(body, fields)["type"] == "webhook.test"
    third = inside.http.post(f"{PATH}/{first['id']}/rotate", json={"overlap_seconds": 0}, headers=seller.header).json()
    assert third["old_secret_until"] is None
    delivery = inside.http.post(f"{PATH}/{first['id']}/test", headers=seller.header).json()
    ended(inside, delivery["id"], seller.header)
    fields, body = receiver.taken[-1]
    assert Webhook(third["secret"]).verify(body, fields)
    with pytest.raises(WebhookVerificationError):
        Webhook(second.json()["secret"]).verify(body, fields)
    stored = "SELECT count(*) FROM events WHERE position($1 IN data::text) > 0"
    assert inside.value(stored, third["secret"].removeprefix("whsec_")) == 0


def test_a_delivery_shows_what_was_sent_and_answered_and_is_sent_anew(inside: Shop, receiver: Any):
    seller = goods.seller(inside)
    endpoint = made(inside, seller.header, url=receiver.url, events=["offer.*"])
    receiver.answers = [500]
    offer = inside.offer_of(seller.id)
    listed = eventually(
        lambda: inside.http.get(f"/webhook-deliveries?endpoint_id={endpoint['id']}", headers=seller.header).json()[
            "items"
        ]
    )
    assert [each["event_type"] for each in listed] == ["offer.created"]
    found = ended(inside, listed[0]["id"], seller.header)
    assert found["body"]["data"]["variant_id"] == str(offer.variant_id)
    assert (found["delivery"]["state"], found["delivery"]["status"]) == ("pending", 500)
    assert found["delivery"]["next_at"] is not None
    (attempt,) = found["attempts"]
    assert (attempt["status"], attempt["response"], attempt["url"]) == (500, "ok", receiver.url)
    path = f"/webhook-deliveries/{listed[0]['id']}/redeliver"
    assert_problem(inside.http.post(path, headers=seller.header), 409, Code.CONFLICT)
    inside.execute("UPDATE pending SET run_at = now() WHERE job = 'send_webhooks'")
    assert ended(inside, listed[0]["id"], seller.header, attempts=2)["delivery"]["state"] == "succeeded"
    assert inside.http.post(path, headers=seller.header).json()["state"] == "pending"
    again = ended(inside, listed[0]["id"], seller.header, attempts=3)
    assert [each["status"] for each in again["attempts"]] == [200, 200, 500]
    assert {fields["webhook-id"] for fields, _ in receiver.taken} == {listed[0]["id"]}


def test_each_sees_and_edits_their_sellers_endpoints_and_an_admin_all(shop: Shop):
    mine, other = goods.seller(shop), goods.seller(shop)
    endpoint, platforms = made(shop, mine.header), made(shop, ADMIN)
    assert (endpoint["seller_id"], platforms["seller_id"]) == (str(mine.id), None)
    assert [each["id"] for each in shop.http.get(PATH, headers=mine.header).json()["items"]] == [endpoint["id"]]
    assert shop.http.get(PATH, headers=other.header).json()["items"] == []
    everybodys = [each["id"] for each in shop.http.get(PATH, headers=ADMIN).json()["items"]]
    assert everybodys[:2] == [platforms["id"], endpoint["id"]]
    for which, who in ((endpoint, other.header), (platforms, mine.header)):
        path = f"{PATH}/{which['id']}"
        for answer in (
            shop.http.get(path, headers=who),
            shop.http.patch(path, json={"enabled": False}, headers=who),
            shop.http.post(f"{path}/rotate", headers=who),
            shop.http.post(f"{path}/test", headers=who),
            shop.http.delete(path, headers=who),
        ):
            assert_problem(answer, 404, Code.NOT_FOUND)
    assert shop.http.delete(f"{PATH}/{endpoint['id']}", headers=mine.header).status_code == 204
    assert_problem(shop.http.get(f"{PATH}/{endpoint['id']}", headers=mine.header), 404, Code.NOT_FOUND)
    assert shop.http.delete(f"{PATH}/{platforms['id']}", headers=ADMIN).status_code == 204


def test_an_endpoint_is_changed_on_the_version_that_was_seen_and_switched_off_and_on(shop: Shop):
    seller = goods.seller(shop)
    endpoint = made(shop, seller.header)
    path = f"{PATH}/{endpoint['id']}"
    off = shop.http.patch(path, json={"enabled": False}, headers=seller.header | {"If-Match": '"1"'})
    assert (off.status_code, off.headers["etag"], off.json()["enabled"]) == (200, '"2"', False)
    assert off.json()["disabled_reason"] == "it was switched off"
    assert_problem(shop.http.post(f"{path}/test", headers=seller.header), 409, Code.CONFLICT)
    stale = shop.http.patch(path, json={"enabled": True}, headers=seller.header | {"If-Match": '"1"'})
    assert_problem(stale, 412, Code.STALE_VERSION, "If-Match")
    changed = {"enabled": True, "events": ["order.placed", "order.placed"], "description": "Ours"}
    on = shop.http.patch(path, json=changed, headers=seller.header).json()
    assert (on["enabled"], on["disabled_reason"], on["events"], on["version"]) == (True, "", ["order.placed"], 3)
    same = shop.http.patch(path, json=changed, headers=seller.header)
    assert same.json()["version"] == 3, "nothing changed"
    kinds = shop.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", endpoint["id"])
    assert [row["type"] for row in kinds] == ["webhook_endpoint.created"] + ["webhook_endpoint.changed"] * 2


@pytest.mark.parametrize(
    "url",
    [
        *("http://shop.example/", "https://localhost/", "https://127.0.0.1/", "https://10.0.0.1:8443/x"),
        *("https://[::1]/", "https://[fe80::1]/", "https://169.254.169.254/latest", "https://2130706433/"),
        *("https://printer.local/", "https://db.internal/", "https://shop.example:99999/", "https:///x"),
    ],
)
def test_an_address_that_cannot_be_public_is_refused(shop: Shop, url: str):
    before = shop.value("SELECT count(*) FROM webhook_endpoints")
    assert_problem(shop.http.post(PATH, json=WISH | {"url": url}, headers=ADMIN), 400, Code.INVALID_REQUEST, "url")
    assert shop.value("SELECT count(*) FROM webhook_endpoints") == before


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"url": "ftp://shop.example/"}, "url"),
        ({"url": "https://user:password@shop.example/"}, "url"),
        ({"url": "https://shop.example/#part"}, "url"),
        ({"url": "https://shop.example/a b"}, "url"),
        ({"url": "https://" + "x" * 2_000}, "url"),
        ({"events": []}, "events"),
        ({"events": ["Order.Placed"]}, "events[0]"),
        ({"events": ["order.placed", "*.*"]}, "events[1]"),
        ({"description": "a\nb"}, "description"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_what_cannot_be_an_endpoint_is_a_400(shop: Shop, wish: dict[str, Any], path: str):
    assert_problem(shop.http.post(PATH, json=WISH | wish, headers=ADMIN), 400, Code.INVALID_REQUEST, path)


@pytest.mark.parametrize("kind", ["order.place", "orders.*", "nothing.happens"])
def test_a_type_that_no_event_has_is_refused(shop: Shop, kind: str):
    wish = {"events": ["order.*", kind]}
    assert_problem(shop.http.post(PATH, json=WISH | wish, headers=ADMIN), 400, Code.INVALID_REQUEST, "events[1]")
    endpoint = made(shop, goods.seller(shop).header)
    changed = shop.http.patch(f"{PATH}/{endpoint['id']}", json=wish, headers=ADMIN)
    assert_problem(changed, 400, Code.INVALID_REQUEST, "events[1]")
    listened = shop.http.get("/stream", params={"types": kind}, headers=ADMIN)
    assert_problem(listened, 400, Code.INVALID_REQUEST, "types[0]")


def test_a_seller_has_so_many_endpoints_at_most(shop: Shop):
    seller = goods.seller(shop)
    shop.execute(
        "INSERT INTO webhook_endpoints (id, seller_id, url, events, secret, created_by)"
        " SELECT uuidv7(), $1, 'https://x.example', '{nothing.happens}', '\\x00', $1 FROM generate_series(1, 49)",
        seller.id,
    )
    made(shop, seller.header)
    assert_problem(shop.http.post(PATH, json=WISH, headers=seller.header), 409, Code.CONFLICT)


def test_deliveries_are_listed_by_state_and_no_other_sellers(shop: Shop):
    seller, other = goods.seller(shop), goods.seller(shop)
    endpoint = made(shop, seller.header)
    for state in ("failed", "succeeded"):
        shop.execute(
            "INSERT INTO webhook_deliveries"
            " (id, endpoint_id, seller_id, stream, version, event_type, body, state, ended_at)"
            " VALUES (uuidv7(), $1, $2, uuidv7(), 1, 'order.placed', '{}', $3, now())",
            endpoint["id"],
            seller.id,
            state,
        )
    found = shop.http.get("/webhook-deliveries?state=failed", headers=seller.header).json()["items"]
    assert [each["state"] for each in found] == ["failed"]
    assert len(shop.http.get("/webhook-deliveries", headers=seller.header).json()["items"]) == 2
    mine = f"/webhook-deliveries?endpoint_id={endpoint['id']}"
    assert shop.http.get(mine, headers=other.header).json()["items"] == []
    assert len(shop.http.get(mine, headers=ADMIN).json()["items"]) == 2
    assert_problem(shop.http.get("/webhook-deliveries?state=lost", headers=ADMIN), 400, Code.INVALID_REQUEST, "state")
    path = f"/webhook-deliveries/{found[0]['id']}"
    assert_problem(shop.http.get(path, headers=other.header), 404, Code.NOT_FOUND)
    assert_problem(shop.http.post(f"{path}/redeliver", headers=other.header), 404, Code.NOT_FOUND)
