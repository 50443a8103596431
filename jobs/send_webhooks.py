"""Try deliveries of webhooks: each command is one try, and what comes of it says whether there is another.

A crash between the receiver's taking it and the record sends it once more, with the same id.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.accounts.seller_edit import Actor
from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import SYSTEM, Answered, BatchOutcome, EffectOutcome, Prepared, PutOff, Ready, Succeeded
from domain.journal.sql import insert_events
from domain.notifications import endpoints
from domain.notifications.webhook_model import DeliveryState, SendWebhook
from domain.notifications.webhook_sql import (
    Due,
    Tried,
    close_deliveries,
    load_due,
    lock_deliveries,
    lock_endpoints,
    note_endpoints,
    save_endpoint,
    save_tries,
)
from domain.notifications.webhooks import Outcome, Reply, outcome_of, why_disabled
from infra.parties import OutOfReachError
from infra.webhooks import Parcel, postman

CONCURRENCY = 256


async def prepare(batch: Batch[SendWebhook]) -> Sequence[Prepared]:
    """See which are still to be tried; those of endpoints that are gone or disabled are given up."""
    due = await load_due(batch.conn, [c.command.delivery_id for c in batch.commands], batch.now)
    open_ = {each.id: each for each in due.values() if each.state == DeliveryState.PENDING}
    unwanted = {each.id for each in open_.values() if not each.enabled}
    await close_deliveries(batch.conn, unwanted, "its endpoint is disabled or removed", batch.now)
    return [
        Ready(open_[c.command.delivery_id]) if _is_next(c.command, open_, unwanted) else Succeeded()
        for c in batch.commands
    ]


def _is_next(command: SendWebhook, due: Mapping[UUID, Due], unwanted: set[UUID]) -> bool:
    """Whether a command is the try that comes next of a delivery; one that was tried meanwhile has another command."""
    found = due.get(command.delivery_id)
    return found is not None and found.id not in unwanted and found.attempts + 1 == command.attempt_no


async def settle(batch: Batch[SendWebhook], answers: Mapping[UUID, Reply]) -> Sequence[BatchOutcome]:
    """Write what came of tries, and have those that failed tried again."""
    conn, now = batch.conn, batch.now
    locked = await lock_deliveries(conn, [c.command.delivery_id for c in batch.commands])
    tries: list[tuple[Tried, Reply, Outcome]] = []
    for claimed in batch.commands:
        tried, reply = locked.get(claimed.command.delivery_id), answers[claimed.id]
        if tried is None or tried.state != DeliveryState.PENDING or tried.attempts + 1 != claimed.command.attempt_no:
            continue
        spread = (tried.id.int & 0xFFFF) / 0xFFFF
        outcome = outcome_of(tried.event_type, reply, tried.attempts + 1 - tried.attempts_before, spread)
        tries.append((tried, reply, outcome))
        if outcome.next_seconds is not None:
            again = SendWebhook(tried.id, tried.attempts + 2)
            batch.follow_up(again, claimed.correlation, delay_seconds=outcome.next_seconds)
    await save_tries(conn, tries, now)
    taken = {tried.endpoint_id for tried, reply, _ in tries if reply.taken}
    failed = {tried.endpoint_id: reply for tried, reply, _ in tries if not reply.taken}
    await note_endpoints(conn, taken, failed.keys() - taken, now)
    await _disable(batch, {key: reply for key, reply in failed.items() if key not in taken or reply.status == 410})
    return [Succeeded()] * len(batch.commands)


async def _disable(batch: Batch[Any], failed: Mapping[UUID, Reply]) -> None:
    """Send nothing more to those that are gone, or have taken nothing for long."""
    actor = Actor(SYSTEM, batch.commands[0].correlation)
    for endpoint in (await lock_endpoints(batch.conn, failed.keys())).values():
        seconds = batch.limits.webhook_failing_seconds
        why = why_disabled(failed[endpoint.id], endpoint.failing_since, batch.now, seconds)
        edited = None if why is None else endpoints.disable(endpoint, why, actor)
        if edited is not None:
            await save_endpoint(batch.conn, edited.endpoint)
            await insert_events(batch.conn, [edited.event])


@effect(SendWebhook, prepare=prepare, settle=settle, lease_seconds=60.0, attempts_max=20, concurrency=CONCURRENCY)
async def send_webhooks(attempt: Attempt[SendWebhook]) -> EffectOutcome:
    """Send one webhook, once; that it wasn't taken is an answer, too."""
    due: Due = attempt.given
    secrets = tuple(secret for secret in (due.secret, due.old_secret) if secret is not None)
    parcel = Parcel(str(due.id), due.endpoint_id, due.url or "", due.body, secrets)
    try:
        reply = await postman().send(
            parcel, correlation=attempt.claimed.correlation, failing=due.failing, seconds=attempt.deadline_seconds
        )
    except OutOfReachError as away:
        return PutOff(str(away), away.after_seconds)
    return Answered(reply)
