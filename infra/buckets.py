"""How often somebody may do something: buckets that are drawn on in Redis, or in this process when Redis is gone.

Invariant: a bucket gives ``limit`` units at once and then one each ``window / limit``, however many processes draw on
it and whenever they do (GCRA: a bucket is one number, the time at which it will be full again). Of several buckets that
are drawn on together either all give a unit or none does.
"""

from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from infra.scripts import Script, Scripts, Unanswered

SECOND_US = 1_000_000
REMEMBERED_MAX = 20_000
"""Buckets a process knows at most when Redis is gone; the one drawn on longest ago goes first."""


class Policy(Struct, frozen=True):
    """``limit`` units each ``window_seconds``, under the name that clients see."""

    name: str
    limit: int
    window_seconds: int

    @property
    def window_us(self) -> int:
        """The window in microseconds."""
        return self.window_seconds * SECOND_US

    @property
    def interval_us(self) -> int:
        """How long it takes for one unit to come back."""
        return self.window_us // self.limit


class Bucket(Struct, frozen=True):
    """The bucket of a policy for one client, under a name that tells nothing of the client."""

    key: str
    policy: Policy


class Verdict(Struct, frozen=True):
    """Whether it may be done; ``remaining`` units are left, and no others come for ``reset_seconds`` (rounded up)."""

    allowed: bool
    policy: Policy
    remaining: int
    reset_seconds: int

    @property
    def retry_after_seconds(self) -> int:
        """How long to wait before the next try; 0 when this one is allowed."""
        return 0 if self.allowed else self.reset_seconds


def verdict_of(policy: Policy, ahead_us: int, *, allowed: bool) -> Verdict:
    """Read a bucket that will be full in ``ahead_us``."""
    window, interval = policy.window_us, policy.interval_us
    remaining = min(policy.limit, max(0, (window - ahead_us) // interval))
    wait_us = ahead_us + (remaining + 1) * interval - window
    return Verdict(allowed, policy, remaining, max(1, -(-wait_us // SECOND_US)))


# Answers whether all gave a unit, then for each how far ahead it is now. What Redis and Python do is the same to the
# microsecond, so that a test can hold one against the other.
_TAKE = Script("""
local ahead, allowed = {}, 1
for i, key in ipairs(KEYS) do
    local interval, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    ahead[i] = math.max(tonumber(redis.call('GET', key) or 0) - now, 0)
    if ahead[i] + interval > window then allowed = 0 end
end
if allowed == 1 then
    for i, key in ipairs(KEYS) do
        ahead[i] = ahead[i] + tonumber(ARGV[2 * i])
        redis.call('SET', key, string.format('%.0f', now + ahead[i]), 'PX', math.ceil(ahead[i] / 1000))
    end
end
return {allowed, unpack(ahead)}
""")


class Buckets:
    """Draws on buckets."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._full_at: OrderedDict[str, int] = OrderedDict()

    async def take(self, buckets: Sequence[Bucket]) -> Verdict:
        """Take a unit of each bucket, or of none.

        The verdict is about the bucket that refuses (the one to wait longest for, if several do), else about the
        first: it says nothing then of the others.
        """
        try:
            allowed, *ahead = await self._take_shared(buckets)
        except Unanswered:
            allowed, *ahead = self._take_here(buckets)
        verdicts = [verdict_of(b.policy, a, allowed=bool(allowed)) for b, a in zip(buckets, ahead, strict=True)]
        if allowed:
            return verdicts[0]
        return max((v for v in verdicts if v.remaining == 0), key=lambda v: v.reset_seconds)

    async def _take_shared(self, buckets: Sequence[Bucket]) -> list[int]:
        args = [number for bucket in buckets for number in (bucket.policy.interval_us, bucket.policy.window_us)]
        answer: list[int] = await self._scripts.run(_TAKE, [bucket.key for bucket in buckets], args)
        return answer

    def _take_here(self, buckets: Sequence[Bucket]) -> list[int]:
        now = self._scripts.now()
        ahead = [max(self._full_at.get(bucket.key, 0) - now, 0) for bucket in buckets]
        if any(a + b.policy.interval_us > b.policy.window_us for a, b in zip(ahead, buckets, strict=True)):
            return [0, *ahead]
        for number, bucket in enumerate(buckets):
            ahead[number] += bucket.policy.interval_us
            self._full_at[bucket.key] = now + ahead[number]
            self._full_at.move_to_end(bucket.key)
        while len(self._full_at) > REMEMBERED_MAX:
            self._full_at.popitem(last=False)
        return [1, *ahead]
