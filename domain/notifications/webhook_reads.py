"""Deliveries of webhooks as those see them whom they are about."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.connection import Connection
from domain.notifications.webhook_model import Delivery, DeliveryAttempt, DeliveryInFull, DeliveryState

ATTEMPTS_SHOWN = 100
_COLUMNS = """
id, endpoint_id, seller_id, event_type, stream, version, state, attempts, status, error, latency_ms, next_at,
created_at, ended_at
"""
LIST_DELIVERIES = f"""
SELECT {_COLUMNS} FROM webhook_deliveries WHERE id < $1 AND ($3::text IS NULL OR state = $3) ORDER BY id DESC LIMIT $2
"""
LIST_FAILED = f"SELECT {_COLUMNS} FROM webhook_deliveries WHERE id < $1 AND state = 'failed' ORDER BY id DESC LIMIT $2"
LIST_DELIVERIES_OF_ENDPOINT = f"""
SELECT {_COLUMNS} FROM webhook_deliveries
WHERE endpoint_id = $4 AND id < $1 AND ($3::text IS NULL OR state = $3) AND ($5::uuid IS NULL OR seller_id = $5)
ORDER BY id DESC LIMIT $2
"""
LIST_DELIVERIES_OF_SELLER = f"""
SELECT {_COLUMNS} FROM webhook_deliveries
WHERE seller_id = $4 AND id < $1 AND ($3::text IS NULL OR state = $3) ORDER BY id DESC LIMIT $2
"""
LOAD_DELIVERY = f"SELECT {_COLUMNS}, body FROM webhook_deliveries WHERE id = $1"
LOAD_ATTEMPTS = """
SELECT attempt_no, at, url, status, latency_ms, error, response FROM webhook_attempts
WHERE delivery_id = $1 ORDER BY attempt_no DESC LIMIT $2
"""


async def list_deliveries(
    conn: Connection,
    *,
    endpoint_id: UUID | None,
    seller_id: UUID | None,
    state: DeliveryState | None,
    below: UUID,
    limit: int,
) -> list[Delivery]:
    """Read deliveries, newest first: of an endpoint, of a seller, or without either everybody's."""
    wanted = None if state is None else state.value
    rows: Sequence[Any]
    if endpoint_id is not None:
        rows = await conn.fetch(LIST_DELIVERIES_OF_ENDPOINT, below, limit, wanted, endpoint_id, seller_id)
    elif seller_id is not None:
        rows = await conn.fetch(LIST_DELIVERIES_OF_SELLER, below, limit, wanted, seller_id)
    elif state is DeliveryState.FAILED:
        rows = await conn.fetch(LIST_FAILED, below, limit)
    else:
        rows = await conn.fetch(LIST_DELIVERIES, below, limit, wanted)
    return [_delivery(row) for row in rows]


async def load_delivery(conn: Connection, delivery_id: UUID) -> DeliveryInFull | None:
    """Read a delivery with its tries; None where there is none."""
    row = await conn.fetchrow(LOAD_DELIVERY, delivery_id)
    if row is None:
        return None
    tries = await conn.fetch(LOAD_ATTEMPTS, delivery_id, ATTEMPTS_SHOWN)
    return DeliveryInFull(_delivery(row), msgspec.Raw(row["body"].encode()), [DeliveryAttempt(*each) for each in tries])


def _delivery(row: Any) -> Delivery:
    values = {name: row[name] for name in Delivery.__struct_fields__}
    return Delivery(**{**values, "state": DeliveryState(values["state"])})
