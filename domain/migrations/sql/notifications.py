"""Notifications, what recipients have switched off, and the language of an account."""

NOTIFICATIONS = """
CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    -- The event it tells of.
    stream uuid NOT NULL,
    version integer NOT NULL,
    audience text NOT NULL CHECK (audience IN ('buyer', 'seller', 'admin')),
    -- An account, or the guest who bought; an address stands nowhere here.
    recipient uuid NOT NULL,
    channel text NOT NULL DEFAULT 'email' CHECK (channel IN ('email')),
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 40),
    seller_id uuid,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'gathered', 'sent', 'refused', 'skipped')),
    told_in uuid,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    message_id text CHECK (length(message_id) BETWEEN 3 AND 998),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    due_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    -- Nobody is told of anything twice.
    UNIQUE (stream, version, recipient, audience, channel),
    CHECK ((state = 'gathered') = (told_in IS NOT NULL)),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CHECK (state <> 'sent' OR message_id IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX notifications_told_in ON notifications (told_in) WHERE told_in IS NOT NULL;
-- The last mail of a kind that gathers, by recipient.
CREATE INDEX notifications_gathering ON notifications (recipient, due_at) WHERE kind = 'low_stock' AND told_in IS NULL;
"""

PREFERENCES = """
CREATE TABLE mail_preferences (
    -- An account, or a guest.
    recipient uuid PRIMARY KEY,
    switched_off text[] NOT NULL CHECK (cardinality(switched_off) <= 50),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""

LANGUAGE = "ALTER TABLE accounts ADD COLUMN language text CHECK (language ~ '^[a-z]{2}$')"


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [NOTIFICATIONS, PREFERENCES, LANGUAGE]
