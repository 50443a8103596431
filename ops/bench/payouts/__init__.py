"""``payouts``: a hundred thousand seller orders that have settled, into a payout that waits for approval."""

from ops.bench.payouts.scenario import payouts

__all__ = ["payouts"]
