"""Sentry: errors of each process arrive with the job they are about, and without anything personal or secret."""

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest

from domain.accounts.model import Role
from domain.pricing.promotion_sweep import SweepPromotions
from tests.builders import SECRET_KEY, place, submit, token, write_offers
from tests.promotions import write_promotion
from tests.system import System, eventually


class Collector:
    """A Sentry server of our own: keeps what processes send."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self._server.server_address[1]}/1"

    def take(self, envelope: bytes) -> None:
        self.raw.append(envelope)
        lines = envelope.split(b"\n")
        for header, payload in zip(lines[1::2], lines[2::2], strict=False):
            if header and msgspec.json.decode(header).get("type") == "event":
                self.events.append(msgspec.json.decode(payload))

    def of(self, process: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event.get("tags", {}).get("process") == process]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def sentry() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


def run(database_url: str, work: Any) -> Any:
    async def with_connection() -> Any:
        conn = await asyncpg.connect(database_url)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(with_connection())


def execute(database_url: str, statement: str) -> None:
    run(database_url, lambda conn: conn.execute(statement))


def assert_tells_nothing(sentry: Collector, *secrets: str) -> None:
    text = b"".join(sentry.raw)
    assert [secret for secret in (*secrets, SECRET_KEY) if secret.encode() in text] == []
    for event in sentry.events:
        assert event.get("user") in (None, {})
        assert "request" not in event
        for thrown in event.get("exception", {}).get("values", ()):
            assert [frame for frame in thrown.get("stacktrace", {}).get("frames", ()) if "vars" in frame] == []


def test_errors_of_the_worker_name_the_job(system: System, database_url: str, sentry: Collector):
    buyer = uuid4()
    system.worker(SENTRY_DSN=sentry.dsn)
    (offer,) = run(database_url, write_offers)
    execute(database_url, "ALTER TABLE orders ADD CONSTRAINT broken CHECK (currency <> 'USD')")
    (job,) = run(database_url, lambda conn: submit(conn, place(offer), principal=buyer))
    (event,) = eventually(lambda: sentry.of("worker"))
    assert event["tags"]["job"] == "place_orders"
    assert event["tags"]["job_id"] == str(job)
    assert event["exception"]["values"][-1]["type"] == "CheckViolationError"
    assert event["server_name"] == "worker"
    assert_tells_nothing(sentry, str(buyer), str(offer.variant_id))


def test_a_command_that_is_parked_is_reported(system: System, database_url: str, sentry: Collector):
    """Whatever parks a command, somebody must hear of it: here its payload isn't what the job takes."""
    system.worker(SENTRY_DSN=sentry.dsn)
    (offer,) = run(database_url, write_offers)

    async def broken(conn: Any) -> UUID:
        async with conn.transaction():
            (job,) = await submit(conn, place(offer))
            await conn.execute("UPDATE commands SET payload = '{}' WHERE id = $1", job)
            return job

    job = run(database_url, broken)
    (event,) = eventually(lambda: sentry.of("worker"))
    assert (event["tags"]["job"], event["tags"]["job_id"]) == ("place_orders", str(job))


def test_uses_of_a_promotion_that_were_counted_wrong_are_reported(system: System, database_url: str, sentry: Collector):
    system.worker(SENTRY_DSN=sentry.dsn)
    promotion = run(database_url, lambda conn: write_promotion(conn, uses_max=9))
    execute(database_url, "UPDATE promotion_uses SET used = 3")
    run(database_url, lambda conn: submit(conn, SweepPromotions()))
    (event,) = eventually(lambda: sentry.of("worker"))
    assert event["tags"]["job"] == "sweep_promotions"
    thrown = event["exception"]["values"][-1]
    assert (thrown["type"], str(promotion.id) in thrown["value"]) == ("UsesDifferError", True)
    assert "promotion_uses_differ" in system.log("worker")


def test_errors_of_the_api_arrive_without_what_the_request_held(system: System, database_url: str, sentry: Collector):
    (offer,) = run(database_url, write_offers)
    url = system.web(SENTRY_DSN=sentry.dsn)
    bearer, key = token(None, Role.BUYER), "a-key-that-is-nobodys-business"
    headers = {"Authorization": f"Bearer {bearer}", "Idempotency-Key": key}
    body = {"currency": "USD", "lines": [{"variant_id": str(offer.variant_id), "seller_id": str(offer.seller_id)}]}
    body["lines"][0]["quantity"] = 1
    execute(database_url, "ALTER TABLE commands ADD CONSTRAINT broken CHECK (job = 'none')")
    assert httpx.post(f"{url}/orders", json=body, headers=headers, timeout=10).status_code == 400
    (refused,) = eventually(lambda: sentry.of("api"))
    assert refused["tags"]["job"] == "place_orders"
    assert UUID(refused["tags"]["job_id"]).version == 7
    execute(database_url, "ALTER TABLE orders RENAME TO gone")
    answer = httpx.get(f"{url}/orders", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "gone" not in answer.text
    eventually(lambda: len(sentry.of("api")) == 2)
    assert_tells_nothing(sentry, bearer, key, str(offer.variant_id))


def test_errors_of_the_scheduler_arrive(system: System, database_url: str, sentry: Collector):
    system.scheduler(SENTRY_DSN=sentry.dsn, RESCUE_SWEEP_SECONDS="0.2")
    execute(database_url, "ALTER TABLE pending ADD CONSTRAINT broken CHECK (job <> 'rescue_runs') NOT VALID")
    event = eventually(lambda: sentry.of("scheduler"))[0]
    assert event["tags"]["job"] == "rescue_runs"
    assert_tells_nothing(sentry)


def test_what_clients_do_wrong_and_what_is_away_is_not_reported(system: System, database_url: str, sentry: Collector):
    url = system.web(SENTRY_DSN=sentry.dsn)
    headers = {"Authorization": f"Bearer {token()}"}
    assert httpx.post(f"{url}/orders", content=b"{", headers=headers, timeout=10).status_code == 415
    assert httpx.get(f"{url}/orders?limit=0", headers=headers, timeout=10).status_code == 400
    execute(database_url, "ALTER TABLE orders RENAME TO gone")
    assert httpx.get(f"{url}/orders", headers=headers, timeout=10).status_code == 500
    # What came before would have arrived before.
    (event,) = eventually(lambda: sentry.of("api"))
    assert event["exception"]["values"][-1]["type"] == "UndefinedTableError"
