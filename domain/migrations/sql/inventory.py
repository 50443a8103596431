"""Stock as people keep it: thresholds, versions, a stream of events; holds that have one, too; movements by seller."""

STOCK = """
ALTER TABLE stock
    ADD COLUMN threshold integer CHECK (threshold BETWEEN 0 AND 1000000000),
    -- Raised by people's edits alone: orders move the figures all the time.
    ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN events integer NOT NULL DEFAULT 0 CHECK (events >= 0);
"""

RESERVATIONS = """
-- The last event of a free-standing hold; an order's holds have none of their own.
ALTER TABLE reservations ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0);
"""

MOVEMENTS = """
CREATE INDEX movements_seller ON movements (seller_id, at);
-- Rows are only ever appended, so it grows at its right end.
CREATE INDEX movements_at ON movements (at);
"""


LIMITED = """
-- Which reservations count against the limit that an offer has per buyer and time, and the limit they were made under.
-- Whether they still count, their own rows say.
CREATE TABLE limited_holds (
    variant_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    buyer uuid NOT NULL,
    reservation_id uuid NOT NULL,
    most integer NOT NULL CHECK (most > 0),
    window_seconds integer NOT NULL CHECK (window_seconds > 0),
    PRIMARY KEY (variant_id, seller_id, buyer, reservation_id)
);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [STOCK, RESERVATIONS, MOVEMENTS, LIMITED]
