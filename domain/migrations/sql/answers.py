"""The answers of routes that answer at once, under the keys of the requests they answer."""

# One table for both: a key that stands for a command can't stand for an answer as well, nor the other way round.
KEYS = """
ALTER TABLE idempotency
    ALTER COLUMN command_id DROP NOT NULL,
    ADD COLUMN answer bytea CHECK (octet_length(answer) > 0),
    ADD CONSTRAINT idempotency_is_a_command_or_an_answer CHECK (num_nonnulls(command_id, answer) = 1);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [KEYS]
