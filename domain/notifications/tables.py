"""The tables of notifications and webhooks, as Piccolo knows them."""

from piccolo.columns import UUID, Array, Boolean, Bytea, Integer, SmallInt, Text, Timestamptz
from piccolo.table import Table


class WebhookEndpoints(Table):
    """Where webhooks go, and about which events."""

    id = UUID(primary_key=True, default=None)
    seller_id = UUID(null=True, default=None)
    url = Text(default=None)
    events = Array(base_column=Text())
    description = Text(default="")
    secret = Bytea(default=None)
    old_secret = Bytea(null=True, default=None)
    old_secret_until = Timestamptz(null=True, default=None)
    enabled = Boolean(default=True)
    disabled_reason = Text(default="")
    failing_since = Timestamptz(null=True, default=None)
    version = Integer(default=1)
    created_by = UUID(default=None)
    created_at = Timestamptz()


class WebhookDeliveries(Table):
    """Webhooks, and how far the delivery of each came."""

    id = UUID(primary_key=True, default=None)
    endpoint_id = UUID(default=None)
    seller_id = UUID(null=True, default=None)
    stream = UUID(default=None)
    version = Integer(default=None)
    event_type = Text(default=None)
    body = Text(default=None)
    state = Text(default="pending")
    attempts = Integer(default=0)
    attempts_before = Integer(default=0)
    status = SmallInt(null=True, default=None)
    error = Text(default="")
    latency_ms = Integer(null=True, default=None)
    next_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz()
    ended_at = Timestamptz(null=True, default=None)


class WebhookAttempts(Table):
    """Each try of a delivery."""

    delivery_id = UUID(primary_key=True, default=None)
    attempt_no = Integer(default=None)
    at = Timestamptz(default=None)
    url = Text(default=None)
    status = SmallInt(null=True, default=None)
    latency_ms = Integer(default=None)
    error = Text(default=None)
    response = Text(default=None)


class Notifications(Table):
    """One event told to one recipient over one channel; it holds no address."""

    id = UUID(primary_key=True, default=None)
    stream = UUID(default=None)
    version = Integer(default=None)
    audience = Text(default=None)
    recipient = UUID(default=None)
    channel = Text(default="email")
    kind = Text(default=None)
    seller_id = UUID(null=True, default=None)
    state = Text(default="queued")
    told_in = UUID(null=True, default=None)
    attempts = Integer(default=0)
    message_id = Text(null=True, default=None)
    reason = Text(default="")
    due_at = Timestamptz()
    created_at = Timestamptz()
    sent_at = Timestamptz(null=True, default=None)


class MailPreferences(Table):
    """The kinds of mail that an account or a guest has switched off."""

    recipient = UUID(primary_key=True, default=None)
    switched_off = Array(base_column=Text(), default=None)
    version = Integer(default=1)
    updated_at = Timestamptz()
