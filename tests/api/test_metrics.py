"""``GET /metrics``: what requests and jobs came to, for anyone inside the network and about nobody."""

import os
from collections.abc import Callable
from signal import SIGKILL
from typing import Any
from uuid import uuid4

import httpx
import psutil

from domain.accounts.model import Role
from tests.api.shop import Shop, bearer, order, wait
from tests.counting import of, scrape
from tests.system import eventually


def requests(found: Any, route: str, status: int, method: str = "GET") -> float:
    return of(found, "ordermill_http_requests_total", method=method, route=route, status=str(status)) or 0.0


def test_requests_are_counted_by_route_and_status_and_never_by_path(shop: Shop):
    before = scrape(shop.http)
    strange = uuid4().hex
    for _ in range(3):
        assert shop.http.get(f"/orders/{uuid4()}", headers=bearer()).status_code == 404
    assert shop.http.get(f"/{strange}").status_code == 404
    assert shop.http.request(strange.upper(), "/orders").status_code == 405

    def counted() -> Any:
        after = scrape(shop.http)
        grown = {
            route: requests(after, route, 404) - requests(before, route, 404)
            for route in ("/orders/{order_id}", "none")
        }
        return after if grown == {"/orders/{order_id}": 3, "none": 1} else None

    # What is told was written out a moment ago.
    after = eventually(counted)
    seconds = {"method": "GET", "route": "/orders/{order_id}"}
    told = [of(each, "ordermill_http_request_seconds_count", **seconds) or 0 for each in (before, after)]
    assert told[1] - told[0] == 3
    assert strange not in shop.http.get("/metrics").text.lower()


def test_an_order_is_counted_where_it_is_accepted(shop: Shop):
    (offer,) = shop.offers()
    before = of(scrape(shop.http), "ordermill_accepted_commands_total", job="place_orders") or 0
    assert shop.http.post("/orders", json=order(offer), headers={**bearer(), **wait()}).status_code == 200

    def counted() -> bool:
        found = scrape(shop.http)
        accepted = of(found, "ordermill_accepted_commands_total", job="place_orders")
        written = of(found, "ordermill_accept_batch_commands_sum") or 0
        return accepted == before + 1 and written >= before + 1

    eventually(counted)
    # Read from the database at most every few seconds.
    eventually(lambda: (of(scrape(shop.http), "ordermill_reservations_active") or 0) >= 1)


def test_queues_lanes_and_workers_are_told(make_shop: Callable[[], Shop]):
    shop = make_shop()
    shop.web()
    shop.pause("orders")
    (offer,) = shop.offers()
    shop.http.post("/orders", json=order(offer), headers=bearer())
    shop.system.worker(LANES="orders")

    def stands() -> bool:
        found = scrape(shop.http)
        return (
            of(found, "ordermill_queue_commands", job="place_orders", lane="orders") == 1
            and of(found, "ordermill_lane_paused", lane="orders") == 1
            and of(found, "ordermill_lane_workers", lane="orders") == 1
            and of(found, "ordermill_lane_workers", lane="io") == 0
        )

    eventually(stands)


def test_nothing_personal_is_told(shop: Shop):
    email = f"{uuid4().hex}@example.com"
    buyer = shop.account(Role.BUYER, email=email)
    (offer,) = shop.offers()
    headers = {**bearer(subject=buyer), **wait()}
    placed = shop.http.post("/orders", json=order(offer), headers=headers).json()
    shop.http.get(f"/orders/{placed['id']}", headers=headers)
    # Written out after all that.
    path = f"/orders/{uuid4()}"
    before = requests(scrape(shop.http), "/orders/{order_id}", 404)
    assert shop.http.get(path, headers=headers).status_code == 404
    eventually(lambda: requests(scrape(shop.http), "/orders/{order_id}", 404) == before + 1)
    text = shop.http.get("/metrics").text
    for what in (email, str(buyer), placed["id"], str(offer.variant_id), str(offer.seller_id)):
        assert what not in text


def test_processes_that_share_a_port_are_told_together_and_the_dead_still_count(make_shop: Callable[[], Shop]):
    shop = make_shop()
    shop.web(HTTP_PROCESSES="2")
    url = shop.urls[0]

    def live() -> None:
        # A connection of its own each time: whoever is free takes it.
        assert httpx.get(f"{url}/health/live").status_code == 200

    def counted() -> float:
        return requests(scrape(httpx, f"{url}/metrics"), "/health/live", 200)

    for _ in range(20):
        live()
    eventually(lambda: counted() == 20)
    server = psutil.Process(shop.system.fleet.pid("web"))
    children = [child.pid for child in server.children()]
    os.kill(children[0], SIGKILL)
    eventually(lambda: {child.pid for child in server.children() if child.status() != "zombie"} - set(children))
    assert eventually(lambda: answered(counted)) == 20, "of whom died as well"


def answered(ask: Callable[[], float]) -> float:
    """Who connects while a process is being replaced may be turned away."""
    try:
        return ask()
    except httpx.TransportError:
        return 0
