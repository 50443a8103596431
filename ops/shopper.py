"""A buyer's side of the HTTP API: send an order, a payment or a cancellation, and see its job through to the end.

Invariant: whatever breaks on the way, the same request goes out again under the same Idempotency-Key, so a buyer
ends with one job however often it had to ask. The key is also the request's correlation id: that is how the
database can be asked afterwards which orders belong to one key, without believing the key's own table.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.model import Role
from domain.orders.model import OrderStatus, Payment, PlaceOrder
from infra.security import Tokens
from ops.load import Answer, Client

WAIT_SECONDS = 10
SANDBOX = "sandbox"
GIVE_UP_SECONDS = 90.0
RETRY_SECONDS = 0.2
POLL_SECONDS = 0.025
TOKEN_SECONDS = 3_600
REFUSALS = frozenset({400, 402, 404, 409, 413, 422})
"""What a rule of the business may answer; any other 4xx is a fault of ours."""

_encode = msgspec.json.Encoder().encode


class ShopError(Exception):
    """The api answered what a well-formed request should never get, or nothing in time."""


class Outcome(Struct, frozen=True):
    """How a request ended: ``code`` says why it was refused; ``seconds`` from the first request to the outcome.

    ``job`` is None when the api refused it at the door, so that no job came of it; ``result`` is the job's, in JSON.
    """

    job: UUID | None
    status: str
    code: str | None
    seconds: float
    result: msgspec.Raw = msgspec.Raw(b"null")


class Standing(Struct, frozen=True):
    """How an order stands: its status and its payment."""

    status: OrderStatus
    payment: Payment


class _Problem(Struct):
    code: str
    detail: str = ""


class _Job(Struct):
    id: UUID
    status: str
    problem: _Problem | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


_job_of = msgspec.json.Decoder(_Job).decode
_standing_of = msgspec.json.Decoder(Standing).decode
_problem_of = msgspec.json.Decoder(_Problem).decode
_ENDED = {"succeeded", "rejected", "failed", "cancelled"}


@asynccontextmanager
async def shoppers() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks that all end before the body does; the first error ends them and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


class Shopper:
    """One buyer with a token of its own, on a shared pool of connections; with another role, who acts for sellers."""

    def __init__(self, client: Client, tokens: Tokens, buyer: UUID, *, role: Role = Role.BUYER) -> None:
        self._client = client
        self._token = tokens.sign(buyer, frozenset({role}), TOKEN_SECONDS)

    async def order(self, key: str, order: PlaceOrder, *, wait: bool = True) -> Outcome:
        """Place an order. With ``wait`` the answer itself brings the outcome, else the job is polled."""
        return await self._run("/orders", _encode(order), key, wait=wait)

    async def cancel(self, key: str, order: UUID, *, lines: tuple[int, ...] | None = None, reason: str = "") -> Outcome:
        """Cancel an order, whole or by line numbers."""
        body = _encode({"lines": lines, "reason": reason})
        return await self._run(f"/orders/{order}/cancel", body, key, wait=True)

    async def pay(self, key: str, order: UUID, token: str) -> Outcome:
        """Pay an order with the sandbox."""
        return await self._run(
            f"/orders/{order}/payment", _encode({"gateway": SANDBOX, "token": token}), key, wait=True
        )

    async def confirm_payment(self, key: str, order: UUID) -> Outcome:
        """Say that what the gateway asked for has been done."""
        return await self._run(f"/orders/{order}/confirm-payment", b"", key, wait=True)

    async def move(self, key: str, seller_order: UUID, way: str) -> Outcome:
        """Accept, ship or deliver all of a seller order."""
        return await self._run(f"/seller-orders/{seller_order}/{way}", b"", key, wait=True)

    async def ask(self, path: str, body: object, key: str) -> Outcome:
        """Have a command run, and wait for its outcome; no body is sent for None."""
        return await self._run(path, b"" if body is None else _encode(body), key, wait=True)

    async def look(self, order: UUID) -> Standing:
        """How an order stands."""
        return _standing_of(await self.read(f"/orders/{order}"))

    async def read(self, path: str) -> bytes:
        """What stands at a path, in JSON; raises ShopError when nothing does."""
        answer = await self._insist("GET", path, b"", {})
        if answer.status != 200:
            raise ShopError(f"GET {path}: {answer.status}: {answer.body.decode(errors='replace')[:500]}")
        return answer.body

    async def _run(self, path: str, body: bytes, key: str, *, wait: bool) -> Outcome:
        started = time.perf_counter()
        headers = {"Idempotency_Key": key, "X_Request_Id": key}
        if wait:
            headers["Prefer"] = f"wait={WAIT_SECONDS}"
        answer = await self._insist("POST", path, body, headers)
        while True:
            outcome = _outcome(answer, started)
            if outcome is not None:
                return outcome
            await asyncio.sleep(POLL_SECONDS)
            if time.perf_counter() - started > GIVE_UP_SECONDS:
                raise ShopError(f"{answer.headers.get('location', path)} has not ended in {GIVE_UP_SECONDS:g} s")
            answer = await self._insist("GET", f"/jobs/{_job_of(answer.body).id}", b"", {})

    async def _insist(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Ask again while nobody answers, or the answer is 503 or 429: that was too much at once."""
        request = self._client.encode(method, path, token=self._token, body=body, **headers)
        deadline = time.perf_counter() + GIVE_UP_SECONDS
        while True:
            try:
                answer = await self._client.send(request)
            except (OSError, TimeoutError) as error:
                last = repr(error)
            else:
                if answer.status not in {429, 503}:
                    return answer
                last = answer.body.decode(errors="replace")
            if time.perf_counter() > deadline:
                raise ShopError(f"{method} {path} was not answered for {GIVE_UP_SECONDS:g} s: {last}")
            await asyncio.sleep(RETRY_SECONDS)


def _outcome(answer: Answer, started: float) -> Outcome | None:
    """What an answer says of a job's end; None while it hasn't ended."""
    seconds = time.perf_counter() - started
    if answer.status in {200, 202}:
        job = _job_of(answer.body)
        code = None if job.problem is None else job.problem.code
        return Outcome(job.id, job.status, code, seconds, job.result) if job.status in _ENDED else None
    if answer.status not in REFUSALS and answer.status < 500:
        raise ShopError(f"status {answer.status}: {answer.body.decode(errors='replace')[:500]}")
    location = answer.headers.get("location", "")
    job_id = UUID(location.removeprefix("/jobs/")) if location.startswith("/jobs/") else None
    status = "failed" if answer.status >= 500 else "rejected"
    return Outcome(job_id, status, _problem_of(answer.body).code, seconds)
