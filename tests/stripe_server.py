"""The part of Stripe's API that is used, over real HTTP on loopback: strict about what it is sent, and away on demand.

Who asks is checked as Stripe checks: the key in the header, the form of the body, an idempotency key on each POST,
which gets the same answer for the same request and an error for another one.
"""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from infra.settings import Settings, read
from tests.http_server import Answer, Asked, HttpServer

SECRET_KEY = "sk_test_of_the_tests_0123456789"
WEBHOOK_SECRET = "whsec_of_the_tests_0123456789"
VISA, DECLINED, NEEDS_ACTION, SLOW_BANK = (
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_slow_bank",
)
_ID = re.compile(r"^/v1/payment_intents/(pi_\w+)(?:/(\w+))?$")


class StripeServer:
    """Payments and refunds. ``faults`` are what happens to the next POSTs: a status, ``before`` or ``after``."""

    def __init__(self) -> None:
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: list[dict[str, Any]] = []
        self.faults: list[int | str] = []
        self.asked: list[Asked] = []
        self.charges = 0
        self._keys: dict[str, tuple[tuple[str, bytes], Answer]] = {}
        self.http = HttpServer(self._answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    async def _answer(self, asked: Asked) -> Answer | None:
        self.asked.append(asked)
        if asked.fields.get("authorization") != f"Bearer {SECRET_KEY}":
            return _error(401, "invalid_request_error", None)
        if asked.method != "POST":
            return self._get(urlsplit(asked.target).path, dict(parse_qsl(urlsplit(asked.target).query)))
        key = asked.fields.get("idempotency-key")
        assert key, "a POST without a key moves money twice"
        assert asked.body == b"" or asked.fields["content-type"] == "application/x-www-form-urlencoded"
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return _error(fault, "rate_limit_error" if fault == 429 else "api_error", None)
        if fault == "before":
            await asyncio.Event().wait()
        said = (asked.target, asked.body)
        if key in self._keys:
            before, answer = self._keys[key]
            return answer if before == said else _error(400, "idempotency_error", None)
        answer = self._post(asked.target, dict(parse_qsl(asked.body.decode(), strict_parsing=bool(asked.body))))
        self._keys[key] = (said, answer)
        if fault == "after":
            await asyncio.Event().wait()
        return answer

    def forget_keys(self) -> None:
        """What Stripe does about a day after they were used."""
        self._keys.clear()

    def _get(self, path: str, query: dict[str, str]) -> Answer:
        if path == "/v1/payment_intents/search":
            wanted = re.fullmatch(r"metadata\['payment_id'\]:'([0-9a-f-]{36})'", query["query"])
            assert wanted, query
            found = [one for one in self.intents.values() if one["metadata"].get("payment_id") == wanted[1]]
            return _ok({"object": "search_result", "data": found, "has_more": False, "url": path})
        if path == "/v1/payment_intents":
            return self._list(query)
        if path == "/v1/refunds":
            of = [one for one in reversed(self.refunds) if one["payment_intent"] == query["payment_intent"]]
            return _page(of, query)
        named = _ID.match(path)
        assert named, path
        return _ok(self.intents[named[1]]) if named[1] in self.intents else _missing()

    def _list(self, query: dict[str, str]) -> Answer:
        since, until = int(query["created[gte]"]), int(query["created[lt]"])
        found = [one for one in reversed(self.intents.values()) if since <= one["created"] < until]
        return _page(found, query)

    def _post(self, path: str, form: dict[str, str]) -> Answer:
        if path == "/v1/payment_intents":
            return self._create(form)
        if path == "/v1/refunds":
            return self._refund(form)
        named = _ID.match(path)
        assert named, path
        intent = self.intents.get(named[1])
        if intent is None:
            return _missing()
        match named[2], intent["status"]:
            case "confirm", "requires_confirmation":
                intent["status"] = "succeeded"
                intent["amount_received"] = intent["amount"]
            case "capture", "requires_capture":
                amount = int(form["amount_to_capture"])
                if amount > intent["amount"]:
                    return _error(400, "invalid_request_error", "amount_too_large")
                intent.update(status="succeeded", amount_received=amount)
            case "cancel", "requires_capture" | "requires_action" | "requires_payment_method" | "requires_confirmation":
                intent["status"] = "canceled"
            case _:
                return _error(400, "invalid_request_error", "payment_intent_unexpected_state")
        return _ok(intent)

    def _create(self, form: dict[str, str]) -> Answer:
        assert form["confirm"] == "true"
        assert form["currency"] == form["currency"].lower()
        assert form["return_url"].startswith("https://")
        assert form["automatic_payment_methods[enabled]"] == "true"
        if int(form["amount"]) < 50:
            return _error(400, "invalid_request_error", "amount_too_small")
        method = (
            form.get("payment_method") or form.get("confirmation_token") or form["payment_method_data[card][token]"]
        )
        good = "succeeded" if form["capture_method"] == "automatic" else "requires_capture"
        status = {DECLINED: "requires_payment_method", NEEDS_ACTION: "requires_action", SLOW_BANK: "processing"}
        intent: dict[str, Any] = {
            "id": f"pi_{len(self.intents) + 1}",
            "object": "payment_intent",
            "status": status.get(method, good),
            "amount": int(form["amount"]),
            "amount_received": 0,
            "currency": form["currency"],
            "created": int(time.time()),
            "description": form["description"],
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
            "next_action": None,
            "last_payment_error": None,
            "latest_charge": {"id": "ch_1", "object": "charge", "amount_refunded": 0},
            "client_secret": "pi_secret_never_to_be_shown",
        }
        self.intents[intent["id"]] = intent
        if intent["status"] == "succeeded":
            intent["amount_received"] = intent["amount"]
            self.charges += 1
        if method == NEEDS_ACTION:
            url = "https://hooks.stripe.example/redirect/authenticate"
            intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"url": url}}
        if method == DECLINED:
            failure = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
            intent["last_payment_error"] = failure
            return _answer(402, {"error": {**failure, "message": "Declined.", "payment_intent": intent}})
        return _ok(intent)

    def _refund(self, form: dict[str, str]) -> Answer:
        intent = self.intents.get(form["payment_intent"])
        if intent is None:
            return _missing()
        charge, amount = intent["latest_charge"], int(form["amount"])
        if charge["amount_refunded"] + amount > intent["amount_received"]:
            return _error(400, "invalid_request_error", "charge_already_refunded")
        charge["amount_refunded"] += amount
        refund = {
            "id": f"re_{len(self.refunds) + 1}",
            "object": "refund",
            "status": "succeeded",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "metadata": {"refund_no": form["metadata[refund_no]"]},
        }
        self.refunds.append(refund)
        return _ok(refund)


def _page(found: list[dict[str, Any]], query: dict[str, str]) -> Answer:
    if "starting_after" in query:
        found = found[[one["id"] for one in found].index(query["starting_after"]) + 1 :]
    limit = int(query["limit"])
    return _ok({"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": "/v1"})


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, msgspec.json.encode(body), {"content-type": "application/json", "request-id": "req_1"})


def _ok(body: dict[str, Any]) -> Answer:
    return _answer(200, body)


def _error(status: int, kind: str, code: str | None) -> Answer:
    return _answer(status, {"error": {"type": kind, "code": code, "message": f"{SECRET_KEY} may not do that"}})


def _missing() -> Answer:
    return _error(404, "invalid_request_error", "resource_missing")


def config(url: str = "http://127.0.0.1:1", **given: str) -> Settings:
    """Settings of a deployment that has Stripe."""
    return read(
        {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "SECRET_KEY": "k" * 32,
            "PUBLIC_URL": "https://shop.example/en",
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": url,
            **given,
        }
    )


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: int | None = None) -> dict[str, str]:
    """The header fields of a webhook as Stripe signs them, made by hand."""
    when = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{when}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={when},v1={mac},v0={'0' * 64}"}


def event(kind: str, thing: dict[str, Any], *, event_id: str = "evt_1") -> bytes:
    """A webhook's body."""
    said = {"id": event_id, "object": "event", "type": kind, "pending_webhooks": 1, "data": {"object": thing}}
    return msgspec.json.encode(said)


@asynccontextmanager
async def stripe_server() -> AsyncIterator[StripeServer]:
    server = StripeServer()
    await server.http.start()
    try:
        yield server
    finally:
        await server.http.stop()
