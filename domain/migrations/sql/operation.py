"""What those who run it look at."""

TRACES = """
-- The traceparent of the request a command comes of (W3C Trace Context), if that had one.
ALTER TABLE commands ADD COLUMN trace text
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [TRACES]
