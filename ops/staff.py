"""What sellers and the marketplace do about orders that were paid, over HTTP: ship, take back, give back, pay out.

Invariant: how an order ends follows from the way it goes and its units alone. Each request has a key of its own.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum, auto
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.model import Role
from domain.orders.model import OrderStatus, Payment
from infra.clock import new_id
from infra.security import Tokens
from ops.load import Client
from ops.shopper import Outcome, ShopError, Shopper, Standing

LOOK_SECONDS = 0.1
TOKEN_SECONDS = 3_600
IBAN = "DE89370400440532013000"
"""The one of the standard's own examples."""

_encode = msgspec.json.Encoder().encode


class Way(StrEnum):
    """What becomes of an order that was paid."""

    DELIVERED = auto()
    IN_TWO_PARCELS = auto()
    ON_ITS_WAY = auto()
    RETURNED = auto()
    RETURNED_IN_PART = auto()
    REFUNDED_IN_PART = auto()


WAYS = (*[Way.DELIVERED] * 3, *Way)


class _Line(Struct):
    line_no: int
    quantity: int
    cancelled_at: str | None


class _Part(Struct):
    id: UUID
    lines: list[int]


class _Order(Struct):
    lines: list[_Line]
    seller_orders: list[_Part]


class _Returned(Struct):
    return_id: UUID


class _Returns(Struct):
    returns: list[_Returned]


class _Payout(Struct):
    state: str


class _PayoutInFull(Struct):
    payout: _Payout


class Staff:
    """Somebody with an administrator's token, who acts for every seller."""

    def __init__(self, client: Client, tokens: Tokens) -> None:
        self._acts = Shopper(client, tokens, new_id(), role=Role.ADMIN)
        self._client = client
        self._tokens = tokens

    async def open_accounts(self, owners: Sequence[UUID]) -> None:
        """Have the owners of sellers say where their money goes."""
        for owner in owners:
            token = self._tokens.sign(owner, frozenset({Role.SELLER}), TOKEN_SECONDS)
            body = _encode({"payout": {"kind": "iban", "holder": "A seller", "iban": IBAN}})
            seen = await self._client.request("GET", "/sellers/me", token=token)
            match = {"If_Match": seen.headers.get("etag", "")}
            answer = await self._client.request("PATCH", "/sellers/me", token=token, body=body, **match)
            if answer.status != 200:
                raise ShopError(f"PATCH /sellers/me: {answer.status}: {answer.body.decode(errors='replace')[:500]}")

    async def serve(self, order: UUID, buyer: Shopper, way: Way, *, seconds: float) -> Standing:
        """Have an order go its way, and wait until it stands as it should; returns how that is."""
        seen = msgspec.json.decode(await self._acts.read(f"/orders/{order}"), type=_Order)
        units = {line.line_no: line.quantity for line in seen.lines if line.cancelled_at is None}
        for part in seen.seller_orders:
            await self._send(part, {n: units[n] for n in part.lines if n in units}, way)
        if way is Way.ON_ITS_WAY:
            return Standing(OrderStatus.CONFIRMED, Payment.PAID)
        first, whole = min(units), sum(units.values()) == 1
        one = [{"line_no": first, "quantity": 1}]
        match way:
            case Way.RETURNED:
                await self._take_back(order, buyer, [{"line_no": n, "quantity": q} for n, q in units.items()])
                whole = True
            case Way.RETURNED_IN_PART:
                await self._take_back(order, buyer, one)
            case Way.REFUNDED_IN_PART:
                await self._do(f"/orders/{order}/refunds", {"lines": one, "reason": "a scratch"})
            case _:
                return Standing(OrderStatus.COMPLETED, Payment.PAID)
        end = Standing(OrderStatus.COMPLETED, Payment.REFUNDED if whole else Payment.PARTIALLY_REFUNDED)
        deadline = time.perf_counter() + seconds
        while True:
            if await self._acts.look(order) == end or time.perf_counter() > deadline:
                return end
            await asyncio.sleep(LOOK_SECONDS)

    async def _send(self, part: _Part, units: Mapping[int, int], way: Way) -> None:
        if not units:
            return
        path, total = f"/seller-orders/{part.id}", sum(units.values())
        await self._do(f"{path}/accept", None)
        apart = way in {Way.IN_TWO_PARCELS, Way.ON_ITS_WAY}
        if apart:
            await self._do(f"{path}/ship", {"lines": [{"line_no": min(units), "quantity": 1}], "tracking": "A-1"})
        if way is not Way.ON_ITS_WAY:
            if total > 1 or not apart:
                await self._do(f"{path}/ship", {"tracking": "A-2"})
            await self._do(f"{path}/deliver", None)

    async def _take_back(self, order: UUID, buyer: Shopper, lines: Sequence[Mapping[str, int]]) -> None:
        body = {"lines": lines, "reason": "not what I thought"}
        asked = _must(await buyer.ask(f"/orders/{order}/returns", body, f"return-{order}"))
        for each in msgspec.json.decode(asked.result, type=_Returns).returns:
            await self._do(f"/returns/{each.return_id}/approve", None)
            await self._do(f"/returns/{each.return_id}/receive", None)

    async def pay_out(self, currency: str, *, seconds: float) -> None:
        """Pay sellers what has settled: collect, approve, and note that the bank has paid."""
        asked = await self._do("/payouts", {"currency": currency})
        path = f"/payouts/{asked.job}"
        await self._until(path, "pending_approval", seconds)
        await self._do(f"{path}/approve", None)
        await self._until(path, "approved", seconds)
        await self._do(f"{path}/paid", None)
        await self._until(path, "paid", seconds)

    async def _until(self, path: str, state: str, seconds: float) -> None:
        deadline = time.perf_counter() + seconds
        while True:
            found = msgspec.json.decode(await self._acts.read(path), type=_PayoutInFull).payout.state
            if found == state:
                return
            if time.perf_counter() > deadline:
                raise ShopError(f"{path} is {found} and not {state}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _do(self, path: str, body: Any) -> Outcome:
        return _must(await self._acts.ask(path, body, f"staff-{new_id().hex}"))


def _must(outcome: Outcome) -> Outcome:
    if outcome.status != "succeeded":
        raise ShopError(f"a job was {outcome.status}: {outcome.code}")
    return outcome
