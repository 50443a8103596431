"""The sandbox's books: what a gateway remembers of the payments made there.

Invariant: each call is one statement that commits by itself, as at a gateway: what was answered stays, whatever
becomes of the caller's transaction. A webhook that is to come is queued together with the payment it tells of.

A payment is named by its key, not by the payment's id: as at real gateways, another key makes another payment.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.journal.model import NewCommand
from domain.journal.sql import insert_commands
from domain.payments.news import AttemptState, Capture, Intent
from infra import postgres
from infra.settings import Settings

CREATE = """
INSERT INTO sandbox_intents AS i
    (reference, payment_id, order_id, amount_minor, currency, token, capture, state, captured_minor, reason)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::text[])
ON CONFLICT (reference) DO UPDATE SET calls = i.calls + 1
RETURNING *
"""
# The first call with this token came to nothing. It has left its row, so that the next one knows.
_HAPPENED = "(token <> 'tok_timeout_before' OR calls > 1)"
LOAD = f"SELECT * FROM sandbox_intents WHERE reference = $1 AND {_HAPPENED}"
LOAD_BY_PAYMENT = f"""
SELECT * FROM sandbox_intents WHERE payment_id = $1 AND {_HAPPENED}
ORDER BY array_position(ARRAY['captured', 'authorized', 'voided', 'action_required', 'failed'], state), created_at
LIMIT 1
"""
CONFIRM = """
UPDATE sandbox_intents
SET state = CASE capture WHEN 'now' THEN 'captured' ELSE 'authorized' END,
    captured_minor = CASE capture WHEN 'now' THEN amount_minor ELSE 0 END
WHERE reference = $1 AND state = 'action_required'
RETURNING *
"""
# What a webhook told of a payment (a tester may send any that is signed) may be ahead of these books, so what they
# hold for undecided or failed can be captured and refunded all the same.
CAPTURE = """
UPDATE sandbox_intents SET state = 'captured', captured_minor = $2
WHERE reference = $1 AND currency = $3 AND $2 <= amount_minor AND state IN ('authorized', 'action_required', 'failed')
RETURNING *
"""
VOID = """
UPDATE sandbox_intents SET state = 'voided' WHERE reference = $1 AND state IN ('authorized', 'action_required')
RETURNING *
"""
REFUND = """
UPDATE sandbox_intents
SET state = 'captured', captured_minor = CASE state WHEN 'captured' THEN captured_minor ELSE amount_minor END,
    refunded_minor = refunded_minor + $3, refunds = refunds || $2::text
WHERE reference = $1 AND currency = $4 AND state <> 'voided' AND NOT ($2 = ANY (refunds))
  AND refunded_minor + $3 <= CASE state WHEN 'captured' THEN captured_minor ELSE amount_minor END
RETURNING *
"""
PAGE = f"""
SELECT * FROM sandbox_intents
WHERE created_at >= $1 AND created_at < $2 AND {_HAPPENED}
  AND ($3::text IS NULL
       OR (created_at, reference) > (SELECT a.created_at, a.reference FROM sandbox_intents a WHERE a.reference = $3))
ORDER BY created_at, reference
LIMIT $4
"""


TOGETHER_MAX = 200


class Entry(Struct, frozen=True):
    """A payment as the books have it."""

    reference: str
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    token: str
    capture: Capture
    state: AttemptState
    captured_minor: int
    refunded_minor: int
    refunds: Sequence[str]
    reason: str | None
    calls: int
    created_at: datetime

    @property
    def new(self) -> bool:
        """Whether the call that returned it was the first one with its key."""
        return self.calls == 1


class _Asked(Struct, frozen=True):
    """A payment to note, what is sent of it, and who waits."""

    row: tuple[Any, ...]
    webhooks: Sequence[NewCommand]
    answer: "asyncio.Future[Entry]"


class Books:
    """Reads and writes the books over connections of its own, which open when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._waiting: list[_Asked] = []
        self._writing: asyncio.Task[None] | None = None

    async def create(
        self,
        reference: str,
        intent: Intent,
        state: AttemptState,
        *,
        captured_minor: int,
        reason: str | None,
        webhooks: Sequence[NewCommand] = (),
    ) -> Entry:
        """Note a payment, and have its webhooks sent; one that is there already is only counted."""
        row = (
            reference,
            intent.payment_id,
            intent.order_id,
            intent.amount_minor,
            intent.currency,
            intent.token,
            intent.capture.value,
            state.value,
            captured_minor,
            reason,
        )
        asked = _Asked(row, webhooks, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        # Who gives up waiting doesn't take the others' answers with them.
        return await asyncio.shield(asked.answer)

    async def _write(self) -> None:
        """Note the payments that wait, those that were asked for together in one statement."""
        try:
            # Those that are asked for in the same round of the loop are there after it.
            await asyncio.sleep(0)
            while self._waiting:
                together = {asked.row[0]: asked for asked in reversed(self._waiting[:TOGETHER_MAX])}
                taken = set(map(id, together.values()))
                self._waiting = [asked for asked in self._waiting if id(asked) not in taken]
                await self._create(list(together.values()))
        finally:
            self._writing = None

    async def _create(self, together: Sequence["_Asked"]) -> None:
        try:
            async with (await self._connected()).acquire() as conn, postgres.transaction(conn):
                columns = [list(column) for column in zip(*(asked.row for asked in together), strict=True)]
                entries = {row["reference"]: _entry(row) for row in await conn.fetch(CREATE, *columns)}
                webhooks = [w for asked in together if entries[asked.row[0]].new for w in asked.webhooks]
                if webhooks:
                    await insert_commands(conn, webhooks)
        except Exception as error:  # noqa: BLE001 - told to each who asked
            for asked in together:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            return
        for asked in together:
            if not asked.answer.done():
                asked.answer.set_result(entries[asked.row[0]])

    async def change(self, statement: str, reference: str, *arguments: object) -> tuple[Entry | None, bool]:
        """Run CONFIRM, CAPTURE, VOID or REFUND: the payment as it is then, and whether that changed it."""
        pool = await self._connected()
        changed = await pool.fetchrow(statement, reference, *arguments)
        if changed is not None:
            return _entry(changed), True
        return await self.load(reference), False

    async def load(self, reference: str) -> Entry | None:
        """One payment, by its reference."""
        row = await (await self._connected()).fetchrow(LOAD, reference)
        return None if row is None else _entry(row)

    async def load_by_payment(self, payment_id: UUID) -> Entry | None:
        """One payment, by our id; of several the one that went furthest."""
        row = await (await self._connected()).fetchrow(LOAD_BY_PAYMENT, payment_id)
        return None if row is None else _entry(row)

    async def page(self, since: datetime, until: datetime, after: str | None, limit: int) -> list[Entry]:
        """The payments made between two times, oldest first, after that of a reference."""
        rows = await (await self._connected()).fetch(PAGE, since, until, after, limit)
        return [_entry(row) for row in rows]

    async def close(self) -> None:
        """Close the connections; they open again when they are needed again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.wait_for(pool.close(), timeout=5)

    async def _connected(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await postgres.create_pool(
                        self._settings, size=postgres.SANDBOX_CONNECTIONS, name="sandbox"
                    )
        return self._pool


def _entry(row: Any) -> Entry:
    values = dict(row)
    return Entry(**values | {"capture": Capture(values["capture"]), "state": AttemptState(values["state"])})
