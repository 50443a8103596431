"""What those who run it look at."""

TRACES = """
-- The traceparent of the request a command comes of (W3C Trace Context), if that had one.
ALTER TABLE commands ADD COLUMN trace text
"""

VERSIONS = "ALTER TABLE workers ADD COLUMN version text NOT NULL DEFAULT ''"

AUDIT = """
CREATE TABLE audit_checks (
    name text PRIMARY KEY,
    at timestamptz NOT NULL,
    took_ms integer NOT NULL CHECK (took_ms >= 0),
    -- Whether it came to its end; if not, the violations are of a part.
    finished boolean NOT NULL,
    violations bigint NOT NULL CHECK (violations >= 0),
    sample text[] NOT NULL
)
"""

TICKS = """
CREATE TABLE sweep_ticks (
    job text PRIMARY KEY,
    slot bigint NOT NULL,
    -- How often it is due: what is much older than that is late.
    period_seconds double precision NOT NULL CHECK (period_seconds > 0),
    command_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50)
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [TRACES, VERSIONS, AUDIT, TICKS]
