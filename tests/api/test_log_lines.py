"""The log: one line per request, per batch and per try of an effect, found by correlation id and trace."""

from typing import Any
from uuid import UUID, uuid4

import msgspec

from tests.api.shop import Shop, bearer, order, wait
from tests.builders import SECRET_KEY
from tests.system import eventually


def log_lines(shop: Shop, name: str) -> list[dict[str, Any]]:
    """What a process has logged; each line must be JSON."""
    return [msgspec.json.decode(text, type=dict[str, Any]) for text in shop.system.log(name).splitlines() if text]


def test_a_request_id_goes_from_the_request_to_the_workers_batch_and_back(shop: Shop):
    (offer,) = shop.offers()
    correlation = f"trace.{uuid4()}:1_A-b"
    buyer = uuid4()
    headers = {**bearer(subject=buyer), **wait(), "X-Request-ID": correlation}
    answer = shop.http.post("/orders", json=order(offer), headers=headers)
    assert answer.headers["x-request-id"] == correlation
    job = UUID(answer.json()["id"])
    assert shop.value("SELECT correlation FROM commands WHERE id = $1", job) == correlation
    assert shop.value("SELECT correlation FROM events WHERE stream = $1", job) == correlation

    def batches() -> list[dict[str, Any]]:
        lines = [line for line in log_lines(shop, "worker") if line["event"] == "batch"]
        return [line for line in lines if correlation in line["correlations"]]

    (batch,) = eventually(batches)
    assert batch["job"] == "place_orders"
    assert batch["claimed"] >= batch["succeeded"] >= 1
    assert batch["ms"] > 0
    (request,) = [line for line in log_lines(shop, "web") if line.get("correlation") == correlation]
    assert (request["event"], request["method"], request["path"], request["status"]) == (
        "request",
        "POST",
        "/orders",
        200,
    )
    assert request["ms"] > 0


def test_each_request_is_one_log_line_whatever_becomes_of_it(shop: Shop):
    sent = {
        "refused-1": shop.http.get("/orders", headers={"X-Request-ID": "refused-1"}),
        "unknown-1": shop.http.get("/nowhere", headers={"X-Request-ID": "unknown-1"}),
        "method-1": shop.http.delete("/orders", headers={"X-Request-ID": "method-1"}),
        "fine-1": shop.http.get("/health/live", headers={"X-Request-ID": "fine-1"}),
    }
    assert {name: answer.headers["x-request-id"] for name, answer in sent.items()} == {name: name for name in sent}

    def logged() -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for line in log_lines(shop, "web"):
            if line.get("correlation") in sent:
                found.setdefault(line["correlation"], []).append(line["status"])
        return found if len(found) == len(sent) else {}

    assert eventually(logged) == {name: [answer.status_code] for name, answer in sent.items()}


def test_logs_hold_neither_tokens_nor_bodies_nor_queries(shop: Shop):
    (offer,) = shop.offers()
    headers = {**bearer(), "Idempotency-Key": "a-key-that-is-nobodys-business", **wait()}
    placed = shop.http.post("/orders", json=order(offer), headers=headers)
    shop.http.post(
        f"{placed.json()['links']['order']}/cancel", json={"reason": "a-secret-reason"}, headers={**headers, **wait()}
    )
    shop.http.get("/orders?cursor=a-secret-cursor", headers=headers)
    shop.http.get("/orders", headers={"Authorization": "Bearer a-broken-token"})
    text = "".join(shop.system.log(name) for name in ("web", "web2", "worker"))
    for secret in (
        headers["Authorization"].removeprefix("Bearer "),
        "a-key-that-is-nobodys-business",
        "a-secret-reason",
        "a-secret-cursor",
        "a-broken-token",
        str(offer.variant_id),
        SECRET_KEY,
    ):
        assert secret not in text
    for name in ("web", "web2", "worker"):
        assert all({"event", "level", "at"} <= set(line) for line in log_lines(shop, name))


def traceparent() -> tuple[str, str]:
    """A new trace's id, and the field that names it."""
    trace = uuid4().hex
    return trace, f"00-{trace}-00f067aa0ba902b7-01"


def test_a_trace_goes_from_the_request_to_batches_effects_and_what_follows_and_back(shop: Shop):
    (offer,) = shop.offers()
    trace, field = traceparent()
    headers = {**bearer(), **wait(), "X-Request-ID": f"named-{trace}", "traceparent": field}
    placed = shop.http.post("/orders", json=order(offer), headers=headers)
    assert (placed.headers["traceparent"], placed.headers["x-request-id"]) == (field, f"named-{trace}")
    body = {"gateway": "sandbox", "token": "tok_ok", "capture": "now"}
    paid = shop.http.post(f"/orders/{placed.json()['id']}/payment", json=body, headers=headers)
    assert paid.status_code == 200, paid.text
    shop.settle()
    rows = shop.fetch("SELECT job, trace FROM commands WHERE correlation = $1", f"named-{trace}")
    assert {"place_orders", "start_payments", "issue_invoices"} <= {row["job"] for row in rows}
    assert {row["trace"] for row in rows} == {field}

    def told() -> bool:
        lines = log_lines(shop, "worker")
        batches = {line["job"] for line in lines if line["event"] == "batch" and trace in line.get("traces", ())}
        tries = [line for line in lines if line["event"] == "effect" and line.get("trace") == trace]
        tried = [(line["job"], line["answer"], line["attempt"]) for line in tries]
        requests = [line for line in log_lines(shop, "web") if line.get("trace") == trace]
        return (
            {"place_orders", "issue_invoices"} <= batches
            and tried == [("start_payments", "answered", 1)]
            and tries[0]["correlation"] == f"named-{trace}"
            and [line["status"] for line in requests] == [200, 200]
        )

    eventually(told)


def test_a_trace_names_a_request_that_nobody_named(shop: Shop):
    (offer,) = shop.offers()
    trace, field = traceparent()
    answer = shop.http.post("/orders", json=order(offer), headers={**bearer(), **wait(), "traceparent": field})
    assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == (trace, field)
    job = UUID(answer.json()["id"])
    assert shop.value("SELECT correlation FROM events WHERE stream = $1", job) == trace


def test_a_malformed_trace_counts_as_none(shop: Shop):
    answer = shop.http.get("/health/live", headers={"traceparent": "00-anything-goes-01"})
    assert "traceparent" not in answer.headers
    assert UUID(answer.headers["x-request-id"])


def test_a_request_id_that_holds_a_token_is_not_taken(shop: Shop):
    token = bearer()["Authorization"].removeprefix("Bearer ")[:120]
    answer = shop.http.get(f"/orders/{token}", headers={"X-Request-ID": token})
    assert UUID(answer.headers["x-request-id"])
    correlation = answer.headers["x-request-id"]
    assert eventually(lambda: [line for line in log_lines(shop, "web") if line.get("correlation") == correlation])
    assert token not in shop.system.log("web")
