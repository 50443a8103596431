"""``POST /webhooks/{gateway}``: what is signed is kept once and answered at once; what isn't changes nothing."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from api.webhooks import principal_of
from domain.payments.model import TakeNotice
from domain.payments.news import News, Notice
from infra.settings import Settings
from tests.api.doorway import doorway
from tests.api.shop import Shop, assert_problem, bearer
from tests.gateways import webhook

COMMANDS = "SELECT id, job, principal, payload::text, correlation FROM commands WHERE job = 'take_notices' AND id = $1"
COUNT = "SELECT count(*) FROM commands WHERE job = 'take_notices'"


def send(shop: Shop, kind: str = "payment.succeeded", payment: UUID | None = None, **how: Any) -> httpx.Response:
    body, fields = webhook(kind, payment or uuid4(), **how)
    return shop.http.post("/webhooks/sandbox", content=body, headers=fields)


def test_a_signed_webhook_is_kept_as_what_it_says_and_answered_at_once(shop: Shop):
    payment = uuid4()
    answer = send(shop, payment=payment, webhook_id="msg_kept", amount=1999, currency="USD")
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["status"]) == ("take_notices", "queued")
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    (row,) = shop.fetch(COMMANDS, UUID(job["id"]))
    assert row["principal"] == principal_of("sandbox")
    said = News(payment_id=payment, succeeded=True, amount_minor=1999, currency="USD")
    notice = Notice("msg_kept", "payment.succeeded", payment=said)
    assert msgspec.json.decode(row["payload"], type=TakeNotice) == TakeNotice("sandbox", notice)


def test_nobody_but_an_admin_looks_at_its_job(shop: Shop):
    path = send(shop).headers["location"]
    assert_problem(shop.http.get(path, headers=bearer()), 404, "not_found")


def test_a_webhook_that_comes_again_is_the_same_command(shop: Shop):
    payment, before = uuid4(), shop.value(COUNT)
    answers = [send(shop, payment=payment, webhook_id="msg_again") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert shop.value(COUNT) == before + 1


def test_of_many_that_come_at_once_to_two_processes_one_is_kept(shop: Shop):
    before = shop.value(COUNT)
    body, fields = webhook("payment.succeeded", uuid4(), webhook_id="msg_at_once")

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(verify=False) as client:
            asked = [
                client.post(f"{shop.urls[n % 2]}/webhooks/sandbox", content=body, headers=fields) for n in range(20)
            ]
            return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert shop.value(COUNT) == before + 1


def test_an_id_stands_for_what_it_said_first(shop: Shop):
    payment = uuid4()
    assert send(shop, payment=payment, webhook_id="msg_other").status_code == 202
    before = shop.value(COUNT)
    other = send(shop, "payment.failed", payment, webhook_id="msg_other")
    assert_problem(other, 422, "idempotency_key_reused")
    assert shop.value(COUNT) == before


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"secret": "whsec_YW5vdGhlciBzZWNyZXQgaGVyZQ=="}, "signature"),
        ({"late": timedelta(minutes=10)}, "too old"),
        ({"late": timedelta(minutes=-10)}, "too new"),
    ],
    ids=["another secret", "ten minutes old", "ten minutes ahead"],
)
def test_what_is_not_signed_with_our_secret_in_these_minutes_changes_nothing(
    shop: Shop, how: dict[str, Any], told: str
):
    before = shop.value(COUNT)
    refused = send(shop, **how)
    assert_problem(refused, 400, "bad_signature")
    assert told in refused.json()["detail"]
    assert shop.value(COUNT) == before


def test_one_byte_more_or_no_signature_at_all_is_refused(shop: Shop):
    body, fields = webhook("payment.succeeded", uuid4())
    assert_problem(shop.http.post("/webhooks/sandbox", content=body + b" ", headers=fields), 400, "bad_signature")
    assert_problem(shop.http.post("/webhooks/sandbox", content=body), 400, "bad_signature")
    assert_problem(shop.http.post("/webhooks/sandbox"), 400, "bad_signature")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("payment.failed", {"reason": "x" * 201}),
        ("payment.failed", {"reason": "a\0b"}),
        ("payment.succeeded", {"amount": -1}),
        ("payment.succeeded", {"amount": 1.5}),
        ("payment.succeeded", {"currency": "dollars"}),
        ("payment.succeeded", {"payment_id": "none"}),
        ("", {}),
        ("p" * 201, {}),
    ],
    ids=str,
)
def test_what_is_signed_and_cannot_be_read_is_refused_and_kept_nowhere(shop: Shop, kind: str, data: dict[str, Any]):
    before = shop.value(COUNT)
    payment = data.pop("payment_id", uuid4())
    assert_problem(send(shop, kind, payment, **data), 400, "invalid_request")
    assert shop.value(COUNT) == before


def test_a_type_that_nobody_knows_is_kept_all_the_same(shop: Shop):
    assert send(shop, "payment.dreamt_of").status_code == 202


def test_a_gateway_that_this_deployment_has_not_is_not_there(shop: Shop):
    body, fields = webhook("payment.succeeded", uuid4())
    for name in ("stripe", "nobody", "Sandbox"):
        answer = shop.http.post(f"/webhooks/{name}", content=body, headers=fields)
        assert_problem(answer, 404, "not_found")


def test_a_body_that_is_too_large_is_refused(shop: Shop):
    assert_problem(send(shop, "payment.failed", reason="x" * 2_000_000), 413, "body_too_large")


def test_it_waits_for_nothing_and_has_its_own_key(shop: Shop):
    payment = uuid4()
    body, fields = webhook("payment.succeeded", payment, webhook_id="msg_key")
    asked = [
        shop.http.post(
            "/webhooks/sandbox", content=body, headers={**fields, "prefer": "wait=5", "idempotency-key": key}
        )
        for key in ("one", "other")
    ]
    assert [answer.status_code for answer in asked] == [202, 202]
    assert len({answer.json()["id"] for answer in asked}) == 1
    assert "preference-applied" not in asked[0].headers


@pytest.mark.anyio
async def test_who_is_believed_is_never_limited_and_who_is_not_is_by_address(settings: Settings):
    async with doorway(settings, rate_requests_per_second=5) as shop:

        async def post(address: str, secret: dict[str, str]) -> int:
            body, fields = webhook("payment.succeeded", uuid4(), **secret)
            transport = httpx.ASGITransport(shop._app, client=(address, 50_000))
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return (await client.post("/webhooks/sandbox", content=body, headers=fields)).status_code

        forged = {"secret": "whsec_YW5vdGhlciBzZWNyZXQgaGVyZQ=="}
        assert [await post("192.0.2.1", forged) for _ in range(8)] == [400] * 5 + [429] * 3
        assert [await post("192.0.2.1", {}) for _ in range(12)] == [202] * 12
        assert await post("192.0.2.2", forged) == 400
