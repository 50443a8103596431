"""``POST /webhooks/carriers/{carrier}``: what is signed is kept once and delivers; what isn't changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from api.webhooks import principal_of
from domain.rejections import Code
from infra.clock import new_id
from infra.standard_webhooks import Signer
from tests.api import goods
from tests.api.shop import Shop, assert_problem
from tests.api.test_seller_orders import looked_up, paid, stepped
from tests.builders import CARRIER_SECRET

PATH = "/webhooks/carriers/manual"
COUNT = "SELECT count(*) FROM commands WHERE job = 'take_tracking'"


def send(
    client: httpx.Client,
    body: Any,
    *,
    name: str = "",
    secret: str = CARRIER_SECRET,
    late: timedelta = timedelta(),
    sent: bytes = b"",
) -> httpx.Response:
    raw = msgspec.json.encode(body)
    fields = Signer(secret).headers(name or new_id().hex, datetime.now(UTC) - late, raw.decode())
    return client.post(PATH, content=sent or raw, headers={"content-type": "application/json", **fields})


def shipped(shop: Shop, tracking: str) -> tuple[str, goods.Seller]:
    seller = goods.seller(shop)
    _, (part,), _ = paid(shop, seller)
    stepped(shop, part, "accept", seller.header)
    stepped(shop, part, "ship", seller.header, {"tracking": tracking})
    return part, seller


def test_a_parcel_that_has_arrived_is_delivered_once_by_its_carrier(shop: Shop):
    tracking = new_id().hex
    part, seller = shipped(shop, tracking)
    assert send(shop.http, {"tracking": tracking, "state": "in_transit"}).status_code == 202
    shop.settle()
    assert looked_up(shop, part, seller.header)["fulfilment"] == "shipped"
    answers = [send(shop.http, {"tracking": tracking, "state": "delivered"}, name=f"m{tracking}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    shop.settle()
    shown = looked_up(shop, part, seller.header)
    assert (shown["fulfilment"], shown["shipments"][0]["state"]) == ("delivered", "delivered")
    told = shop.fetch(
        "SELECT actor FROM events WHERE stream = $1 AND type = 'order.shipment_delivered'", UUID(shown["order_id"])
    )
    assert [row["actor"] for row in told] == [principal_of("manual", "carrier")]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"secret": "whsec_c29tZWJvZHktZWxzZS1zLXNlY3JldC1rZXk="}, Code.BAD_SIGNATURE),
        ({"late": timedelta(minutes=6)}, Code.BAD_SIGNATURE),
        ({"sent": b'{"tracking": "T1", "state": "delivered"}'}, Code.BAD_SIGNATURE),
        ({"name": "x" * 256}, Code.INVALID_REQUEST),
    ],
)
def test_what_is_not_signed_so_changes_nothing(shop: Shop, how: Any, code: str):
    before = shop.value(COUNT)
    assert_problem(send(shop.http, {"tracking": "T1", "state": "delivered"}, **how), 400, code)
    assert shop.value(COUNT) == before


@pytest.mark.parametrize(
    "body", [{}, {"tracking": "T1"}, {"tracking": "", "state": "delivered"}, {"tracking": "T1", "state": "lost"}, []]
)
def test_what_is_signed_and_cannot_be_read_is_a_400(shop: Shop, body: Any):
    assert_problem(send(shop.http, body), 400, Code.INVALID_REQUEST)


def test_nothing_is_heard_where_no_secret_is_set_nor_of_unknown_carriers(shop: Shop, make_shop: Callable[[], Shop]):
    deaf = make_shop().web(CARRIER_WEBHOOK_SECRET="")
    assert_problem(send(deaf, {"tracking": "T1", "state": "delivered"}), 404, Code.NOT_FOUND)
    assert_problem(shop.http.post("/webhooks/carriers/nobody", content=b"{}"), 404, Code.NOT_FOUND)


def test_the_same_webhook_id_with_another_body_is_a_422(shop: Shop):
    name = new_id().hex
    assert send(shop.http, {"tracking": "T1", "state": "delivered"}, name=name).status_code == 202
    changed = send(shop.http, {"tracking": "T2", "state": "delivered"}, name=name)
    assert_problem(changed, 422, Code.IDEMPOTENCY_KEY_REUSED, changed.json().get("path"))
