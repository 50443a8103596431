"""Drop what has expired: sessions, tokens, revocations, notes of what changed, idle carts, webhooks that were sent."""

from collections.abc import Sequence

from msgspec import Struct

from domain import ids
from domain.accounts.expiry_sql import prune_accounts
from domain.journal.changes_sql import prune_changes
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded
from domain.journal.sweeps import PruneExpired
from domain.notifications.webhook_sql import prune_deliveries
from domain.orders.cart_sql import prune_carts

STEP_ROWS = 2_000
DAY_SECONDS = 86_400
NO_ENTROPY = bytes(ids.ENTROPY_BYTES)


class Expired(Struct, frozen=True):
    """How many rows a step removed, and whether there are more."""

    rows: int
    more: bool


@batch(PruneExpired, commands_max=10)
async def prune_expired(batch: Batch[PruneExpired]) -> Sequence[BatchOutcome]:
    """Take one step for the whole batch; every command gets the batch's result."""
    rows = await prune_accounts(batch.conn, STEP_ROWS) + await prune_changes(batch.conn, STEP_ROWS)
    rows += await prune_carts(batch.conn, STEP_ROWS, batch.limits.cart_days)
    old = ids.compose(max(0, int((batch.now.timestamp() - batch.limits.webhook_days * DAY_SECONDS) * 1000)), NO_ENTROPY)
    rows += await prune_deliveries(batch.conn, old, STEP_ROWS)
    more = rows >= STEP_ROWS
    if more:
        batch.follow_up(PruneExpired(), batch.commands[0].correlation)
    return [Succeeded(Expired(rows, more))] * len(batch.commands)
