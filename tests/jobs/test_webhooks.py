"""Webhooks from event to receiver, over real HTTP, verified by the public library."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook

import jobs
from domain.journal.declare import EffectJob
from domain.journal.sql import insert_commands
from domain.journal.sweeps import PruneExpired
from domain.limits import Limits
from domain.notifications.webhook_model import SendWebhook
from infra.clock import new_id
from infra.trace_context import id_of
from tests.builders import new, place, submit, write_offers
from tests.engine.parts import Rig, due_now, run_due, until
from tests.gateways import Receiver
from tests.http_server import Answer, Asked, HttpServer
from tests.jobs.endpoints import SECRET, an_endpoint, deliveries, listening, log_of
from workers.effects import EffectRunner
from workers.subscriptions import deliver

pytestmark = pytest.mark.anyio
JOBS, SUBSCRIPTIONS = jobs.load(), jobs.load_subscriptions()


@pytest.fixture
async def receiver(rig: Rig) -> AsyncIterator[Receiver]:
    async with listening(rig.settings) as receiver:
        yield receiver


def runner(limits: Limits | None = None) -> EffectRunner:
    job = JOBS["send_webhooks"]
    assert isinstance(job, EffectJob)
    return EffectRunner(job, limits=limits)


async def hear(rig: Rig) -> None:
    """Have the subscription take what has happened since the last time."""
    await rig.conn.execute(
        "INSERT INTO subscriptions (name, xid, position) VALUES ('webhooks', '0', 0) ON CONFLICT DO NOTHING"
    )
    async with rig.pool.acquire() as conn:
        while (report := await deliver(conn, SUBSCRIPTIONS["webhooks"], Limits(), events_max=1_000)) and report.full:
            continue


async def send(rig: Rig, limits: Limits | None = None) -> None:
    await due_now(rig)
    await run_due(rig, runner(limits))


async def tried(rig: Rig, *ids: UUID) -> None:
    await submit(rig.conn, *(SendWebhook(each, 1) for each in ids))
    await send(rig)


async def test_what_happens_is_sent_to_who_listens_and_verified_by_the_public_library(rig: Rig, receiver: Receiver):
    mine, other = await write_offers(rig.conn, offers=2, sellers=2)
    await an_endpoint(rig, "order.*")
    await an_endpoint(rig, "order.placed", seller_id=mine.seller_id)
    await an_endpoint(rig, "account.*")
    (order,) = await submit(rig.conn, place(mine, other))
    await rig.drain(rig.runner(JOBS["place_orders"]))
    await hear(rig)
    await send(rig)
    said = [Webhook(SECRET).verify(body, fields) for fields, body in receiver.taken]
    assert sorted(len(each["data"]["lines"]) for each in said) == [1, 2]
    assert {each["type"] for each in said} == {"order.placed"}
    assert len({fields["webhook-id"] for fields, _ in receiver.taken}) == 2
    assert {fields["content-type"] for fields, _ in receiver.taken} == {"application/json"}
    (part,) = [each["data"] for each in said if len(each["data"]["lines"]) == 1]
    assert (part["order_id"], part["seller_id"]) == (str(order), str(mine.seller_id))
    assert "buyer" not in part


async def test_a_webhook_names_the_request_and_the_trace_that_led_to_it(rig: Rig, receiver: Receiver):
    (offer,) = await write_offers(rig.conn)
    await an_endpoint(rig, "order.placed")
    trace = new_id().hex
    await insert_commands(rig.conn, [replace(new(place(offer)), correlation=trace)])
    await rig.drain(rig.runner(JOBS["place_orders"]))
    await hear(rig)
    await send(rig)
    ((fields, _),) = receiver.taken
    assert fields["x-request-id"] == trace
    assert id_of(fields["traceparent"]) == trace


async def test_an_event_heard_twice_is_sent_once(rig: Rig, receiver: Receiver):
    await an_endpoint(rig, "webhook_endpoint.*")
    await hear(rig)
    await rig.conn.execute("UPDATE subscriptions SET xid = '0', position = 0")
    await hear(rig)
    await send(rig)
    assert [msgspec.json.decode(body)["type"] for _, body in receiver.taken] == ["webhook_endpoint.created"]


async def test_one_that_is_refused_is_tried_again_under_the_same_id_with_a_log_of_each_try(
    rig: Rig, receiver: Receiver
):
    endpoint = await an_endpoint(rig)
    (delivery,) = await deliveries(rig, endpoint)
    receiver.refuse[str(delivery)] = 503
    await tried(rig, delivery)
    assert await log_of(rig, [delivery]) == [("pending", 1, 503)]
    waits = await rig.conn.fetchval(
        "SELECT extract(epoch FROM p.run_at - d.created_at)::float8 FROM pending p, webhook_deliveries d"
        " WHERE p.job = 'send_webhooks'"
    )
    assert 4 < waits < 60
    assert await rig.conn.fetchval("SELECT failing_since IS NOT NULL FROM webhook_endpoints")
    del receiver.refuse[str(delivery)]
    await send(rig)
    assert await log_of(rig, [delivery]) == [("succeeded", 2, 202)]
    assert [fields["webhook-id"] for fields, _ in receiver.taken] == [str(delivery)]
    rows = await rig.conn.fetch("SELECT attempt_no, status, latency_ms >= 0 FROM webhook_attempts ORDER BY attempt_no")
    assert [tuple(row) for row in rows] == [(1, 503, True), (2, 202, True)]
    assert await rig.conn.fetchval("SELECT failing_since IS NULL FROM webhook_endpoints")


async def test_one_that_nobody_answers_is_tried_until_a_day_is_over_and_given_up(rig: Rig, receiver: Receiver):
    (delivery,) = await deliveries(rig, await an_endpoint(rig))
    await receiver.stop()
    await tried(rig, delivery)
    for _ in range(8):
        await send(rig)
    assert await log_of(rig, [delivery]) == [("failed", 9, None)]
    assert "ConnectError" in await rig.conn.fetchval("SELECT error FROM webhook_deliveries")
    assert await rig.conn.fetchval("SELECT count(*) FROM pending WHERE job = 'send_webhooks'") == 0


async def test_a_redirect_is_not_followed(rig: Rig):
    there: list[Asked] = []

    async def take(asked: Asked) -> Answer:
        there.append(asked)
        return Answer(200)

    elsewhere = HttpServer(take)
    await elsewhere.start()

    async def redirect(_: Asked) -> Answer:
        return Answer(307, fields={"location": f"http://127.0.0.1:{elsewhere.port}/"})

    server = HttpServer(redirect)
    await server.start()
    async with listening(rig.settings):
        endpoint = await an_endpoint(rig, url=f"http://127.0.0.1:{server.port}/")
        (delivery,) = await deliveries(rig, endpoint)
        await tried(rig, delivery)
    assert await log_of(rig, [delivery]) == [("pending", 1, 307)]
    assert there == []
    await elsewhere.stop()
    await server.stop()


async def test_a_private_address_is_not_sent_to_unless_the_deployment_allows_it(rig: Rig):
    async with listening(rig.settings, WEBHOOK_ALLOW_PRIVATE="off") as receiver:
        (delivery,) = await deliveries(rig, await an_endpoint(rig))
        await tried(rig, delivery)
        assert await log_of(rig, [delivery]) == [("pending", 1, None)]
        assert await rig.conn.fetchval("SELECT error FROM webhook_attempts") == "the name leads to no public address"
        assert receiver.taken == []


async def test_who_answers_410_is_disabled_and_what_is_on_its_way_is_given_up(rig: Rig, receiver: Receiver):
    endpoint = await an_endpoint(rig)
    first, second = await deliveries(rig, endpoint, 2)
    receiver.refuse[str(first)] = 410
    await tried(rig, first)
    await tried(rig, second)
    assert await log_of(rig, [first, second]) == [("failed", 1, 410), ("failed", 0, None)]
    assert receiver.taken == []
    row = await rig.conn.fetchrow("SELECT enabled, disabled_reason FROM webhook_endpoints")
    assert tuple(row) == (False, "it answered 410: it is gone for good")
    (told,) = await rig.conn.fetch("SELECT data FROM events WHERE type = 'webhook_endpoint.disabled'")
    assert msgspec.json.decode(told["data"]) == {
        "seller_id": None,
        "host": "127.0.0.1",
        "reason": "it answered 410: it is gone for good",
    }


async def test_who_takes_nothing_for_long_is_disabled(rig: Rig, receiver: Receiver):
    endpoint = await an_endpoint(rig)
    (delivery,) = await deliveries(rig, endpoint)
    receiver.refuse[str(delivery)] = 500
    await tried(rig, delivery)
    await rig.conn.execute("UPDATE webhook_endpoints SET failing_since = failing_since - interval '1 hour'")
    await send(rig, Limits(webhook_failing_seconds=3_700))
    assert await rig.conn.fetchval("SELECT enabled FROM webhook_endpoints")
    await send(rig, Limits(webhook_failing_seconds=3_500))
    assert not await rig.conn.fetchval("SELECT enabled FROM webhook_endpoints")


async def test_a_worker_that_dies_after_sending_sends_once_more_under_the_same_id(rig: Rig, receiver: Receiver):
    (delivery,) = await deliveries(rig, await an_endpoint(rig))
    await submit(rig.conn, SendWebhook(delivery, 1))
    dead, lease = runner(), new_id()
    async with rig.pool.acquire() as conn:
        (held,), _ = await dead.claim(conn, lease, 1)
    outcome = await dead.attempt(held)
    await send(rig)
    async with rig.pool.acquire() as conn:
        await dead.record(conn, lease, [(held, outcome)])
    assert [fields["webhook-id"] for fields, _ in receiver.taken] == [str(delivery)] * 2
    assert await log_of(rig, [delivery]) == [("succeeded", 1, 202)]
    assert await rig.conn.fetchval("SELECT count(*) FROM webhook_attempts") == 1


async def test_of_what_is_answered_the_beginning_is_kept_as_text(rig: Rig):
    async def answer(_: Asked) -> Answer:
        return Answer(500, b"no \x00\x1b[31m " + "Ü".encode() * 3_000_000, {"retry-after": "120"})

    server = HttpServer(answer)
    await server.start()
    async with listening(rig.settings):
        (delivery,) = await deliveries(rig, await an_endpoint(rig, url=f"http://127.0.0.1:{server.port}/"))
        await tried(rig, delivery)
    kept = await rig.conn.fetchval("SELECT response FROM webhook_attempts")
    assert kept.startswith("no \ufffd\ufffd[31m Ü")
    assert len(kept) == 1_000
    waits = await rig.conn.fetchval("SELECT extract(epoch FROM next_at - now())::float8 FROM webhook_deliveries")
    assert waits > 60, "as long as it was asked for"
    await server.stop()


async def test_a_dead_endpoint_delays_no_other(rig: Rig):
    stuck = asyncio.Event()

    async def hang(_: Asked) -> Answer | None:
        await stuck.wait()
        return None

    server = HttpServer(hang)
    await server.start()
    async with listening(rig.settings, WEBHOOK_CONCURRENCY="4", BREAKER_FAILURES="2") as receiver:
        dead = await an_endpoint(rig, url=f"http://127.0.0.1:{server.port}/")
        hanging = await deliveries(rig, dead, 300)
        await submit(rig.conn, *(SendWebhook(each, 1) for each in hanging))
        good = await deliveries(rig, await an_endpoint(rig, url=receiver.url), 20)
        await submit(rig.conn, *(SendWebhook(each, 1) for each in good))
        stopping = asyncio.ensure_future(run_due(rig, runner(), seconds=5.0))
        await until(lambda: taken(receiver, 20))
        assert {state for state, _, _ in await log_of(rig, hanging)} == {"pending"}, "the dead one is still waited for"
        stuck.set()
        await stopping
    await server.stop()


async def taken(receiver: Receiver, count: int) -> bool:
    return len(receiver.taken) >= count


async def test_the_secret_before_the_last_one_signs_as_well_while_its_time_lasts(rig: Rig, receiver: Receiver):
    endpoint = await an_endpoint(rig)
    await rig.conn.execute(
        "UPDATE webhook_endpoints SET old_secret = secret, old_secret_until = now() + interval '1 hour'"
    )
    first, second = await deliveries(rig, endpoint, 2)
    await tried(rig, first)
    await rig.conn.execute("UPDATE webhook_endpoints SET old_secret_until = now() - interval '1 second'")
    await tried(rig, second)
    both, one = (fields["webhook-signature"].split() for fields, _ in receiver.taken)
    assert (len(both), len(one)) == (2, 1)
    assert all(signature.startswith("v1,") for signature in both)


async def test_what_is_old_is_forgotten_but_for_what_is_still_to_be_sent(rig: Rig, receiver: Receiver):
    endpoint = await an_endpoint(rig)
    done, waiting, new = await deliveries(rig, endpoint, 3)
    await tried(rig, done, new)
    for delivery in (done, waiting):
        old = await rig.conn.fetchval("SELECT uuidv7(interval '-31 days')")
        await rig.conn.execute("UPDATE webhook_attempts SET delivery_id = $2 WHERE delivery_id = $1", delivery, old)
        await rig.conn.execute("UPDATE webhook_deliveries SET id = $2 WHERE id = $1", delivery, old)
    await submit(rig.conn, PruneExpired())
    await rig.drain(rig.runner(JOBS["prune_expired"]))
    states = await rig.conn.fetch("SELECT state FROM webhook_deliveries ORDER BY id")
    assert [row["state"] for row in states] == ["pending", "succeeded"]
    assert [row["delivery_id"] for row in await rig.conn.fetch("SELECT delivery_id FROM webhook_attempts")] == [new]
