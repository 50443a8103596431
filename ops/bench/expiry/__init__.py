"""``expiry``: a million reservations that are due at once, while orders go on being placed."""

from ops.bench.expiry.scenario import expiry

__all__ = ["expiry"]
