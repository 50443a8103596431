"""What each command has made of a promotion's codes: it makes nothing a second time."""

BATCHES = """
CREATE TABLE code_batches (
    command_id uuid PRIMARY KEY,
    promotion_id uuid NOT NULL REFERENCES promotions (id),
    made integer NOT NULL CHECK (made >= 0),
    at timestamptz NOT NULL
);
CREATE INDEX code_batches_promotion ON code_batches (promotion_id);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [BATCHES]
