"""Hear of every event, and have those told to endpoints that are for them."""

from domain.journal.declare import EventBatch, subscription
from domain.notifications.hearing_sql import load_known
from domain.notifications.webhook_model import SendWebhook
from domain.notifications.webhook_sql import insert_deliveries, load_listeners
from domain.notifications.webhooks import address


@subscription("webhooks", None, from_now=True)
async def queue_webhooks(batch: EventBatch) -> None:
    """Write a delivery for each event and endpoint that it is for, and have it sent."""
    listeners = await load_listeners(batch.conn)
    if not listeners:
        return
    known = await load_known(batch.conn, batch.events, listeners)
    made = {batch.new_id(): each for each in address(batch.events, listeners, known)}
    for delivery_id in sorted(await insert_deliveries(batch.conn, made, batch.now)):
        batch.follow_up(SendWebhook(delivery_id, 1), made[delivery_id].event.correlation)
