"""The outside world: settings, PostgreSQL, Redis, telemetry, security."""
