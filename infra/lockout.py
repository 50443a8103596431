"""Failed attempts at an account: further ones wait, and never the owner's because of somebody else's.

Invariant: failures are counted for an account together with the address they come from, and for an account over all
addresses from which nobody signed in to it before. An address from which somebody did within 90 days is *known*, and
only its own failures make it wait: who fails a thousand times elsewhere changes nothing for it. An account here is what
was typed as its e-mail address, so one that doesn't exist behaves like any other.

An attempt that waits isn't tried, so it isn't counted either. After each wait one attempt is let through, however many
come at once; if it fails, the next wait is twice as long.
"""

from collections import OrderedDict
from typing import Any

from msgspec import Struct

from infra.buckets import REMEMBERED_MAX, SECOND_US
from infra.names import Names
from infra.scripts import Script, Scripts, Unanswered

KNOWN_SECONDS = 90 * 86_400
KNOWN_MAX = 20
"""Addresses known for an account at most; the one used longest ago is forgotten first."""
WAIT_SECONDS_MIN = 60
WAIT_SECONDS_MAX = 3_600
TRY_SECONDS = 10
"""How long the one attempt after a wait has the door for itself."""
_DOUBLINGS_MAX = 30


class Patience(Struct, frozen=True):
    """How many failures are borne, counted from the first one on for so long."""

    failures_max: int
    window_seconds: int


OF_PAIR = Patience(10, 15 * 60)
"""For an account and an address together."""
OF_ACCOUNT = Patience(100, 86_400)
"""For an account over the addresses that aren't known for it."""


class Standing(Struct, frozen=True):
    """How an attempt stands: ``wait_seconds`` to wait first (rounded up), 0 if it may be made now."""

    wait_seconds: int
    known: bool


class _Keys(Struct, frozen=True):
    known: str
    pair: str
    account: str
    address: str


# KEYS: the account's known addresses with the times they were used last; the pair's counter; the account's.
# A counter is a hash: n failures; no attempt before ``held``; none but the one under way before ``tried``; forgotten
# after ``ends``. What Redis and Python do is the same to the microsecond; a test holds one against the other.
_PRELUDE = f"""
local most = {{ {OF_PAIR.failures_max}, {OF_ACCOUNT.failures_max} }}
local window = {{ {OF_PAIR.window_seconds * SECOND_US}, {OF_ACCOUNT.window_seconds * SECOND_US} }}
local remembered = {KNOWN_SECONDS * SECOND_US}
local function text(number) return string.format('%.0f', number) end
local known = now - tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or -math.huge) < remembered
local counters = known and {{ KEYS[2] }} or {{ KEYS[2], KEYS[3] }}
local function read(key)
    local found = redis.call('HMGET', key, 'n', 'held', 'tried', 'ends')
    if not found[1] or now >= tonumber(found[4]) then return 0, 0, 0, 0 end
    return tonumber(found[1]), tonumber(found[2]), tonumber(found[3]), tonumber(found[4])
end
"""

_KNOWS = Script(_PRELUDE + "return known and 1 or 0")

# Answers how long to wait, and whether the address is known.
_CHECK = Script(
    _PRELUDE
    + f"""
local wait = 0
for i, key in ipairs(counters) do
    local n, held, tried = read(key)
    wait = math.max(wait, held - now, tried - now)
end
if wait == 0 then
    for i, key in ipairs(counters) do
        if read(key) >= most[i] then redis.call('HSET', key, 'tried', text(now + {TRY_SECONDS * SECOND_US})) end
    end
end
return {{ wait, known and 1 or 0 }}
"""
)

# One that was under way when another one's failure began a wait doesn't make that wait longer.
_FAILED = Script(
    _PRELUDE
    + f"""
for i, key in ipairs(counters) do
    local n, held, tried, ends = read(key)
    if held <= now then
        n = n + 1
        if n == 1 then ends = now + window[i] end
        if n >= most[i] then
            local doubled = {WAIT_SECONDS_MIN * SECOND_US} * 2 ^ math.min(n - most[i], {_DOUBLINGS_MAX})
            held = now + math.min(doubled, {WAIT_SECONDS_MAX * SECOND_US})
            ends = held + window[i]
        end
        redis.call('HSET', key, 'n', n, 'held', text(held), 'tried', 0, 'ends', text(ends))
        redis.call('PEXPIRE', key, math.ceil((ends - now) / 1000))
    end
end
"""
)

_SUCCEEDED = Script(
    _PRELUDE
    + f"""
redis.call('DEL', KEYS[2])
redis.call('ZADD', KEYS[1], text(now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - remembered))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - {KNOWN_MAX})
redis.call('PEXPIRE', KEYS[1], remembered / 1000)
"""
)


class Lockout:
    """Counts failures and says who waits, over all processes; for this one alone while Redis is gone."""

    def __init__(self, scripts: Scripts, names: Names) -> None:
        self._scripts = scripts
        self._names = names
        self._here = _Here()

    async def check(self, account: str, address: str) -> Standing:
        """Say whether an attempt at an account may be made from an address: right before each."""
        keys = self._keys(account, address)
        try:
            wait_us, known = await self._run(_CHECK, keys)
        except Unanswered:
            wait_us, known = self._here.check(keys, self._scripts.now())
        return Standing(-(-wait_us // SECOND_US), bool(known))

    async def knows(self, account: str, address: str) -> bool:
        """Whether somebody signed in to the account from this address lately."""
        keys = self._keys(account, address)
        try:
            return bool(await self._run(_KNOWS, keys))
        except Unanswered:
            return self._here.knows(keys, self._scripts.now())

    async def failed(self, account: str, address: str) -> None:
        """Count a failure."""
        keys = self._keys(account, address)
        try:
            await self._run(_FAILED, keys)
        except Unanswered:
            self._here.failed(keys, self._scripts.now())

    async def succeeded(self, account: str, address: str) -> None:
        """Forget the pair's failures; the address is known from now on."""
        keys = self._keys(account, address)
        # Here in any case: who signed in at this process is known to it when Redis is gone.
        self._here.succeeded(keys, self._scripts.now())
        try:
            await self._run(_SUCCEEDED, keys)
        except Unanswered:
            return

    async def _run(self, script: Script, keys: _Keys) -> Any:
        return await self._scripts.run(script, [keys.known, keys.pair, keys.account], [keys.address])

    def _keys(self, account: str, address: str) -> _Keys:
        of = self._names.of
        return _Keys(
            known=f"ordermill:known:{of('known', account)}",
            pair=f"ordermill:failures:{of('pair', account, address)}",
            account=f"ordermill:failures:{of('account', account)}",
            address=of("address", account, address),
        )


class _Counter:
    __slots__ = ("ends", "held", "n", "tried")

    def __init__(self) -> None:
        self.n = self.held = self.tried = self.ends = 0


class _Here:
    """The same for this process alone, bounded."""

    def __init__(self) -> None:
        self._counters: OrderedDict[str, _Counter] = OrderedDict()
        self._known: OrderedDict[str, OrderedDict[str, int]] = OrderedDict()

    def check(self, keys: _Keys, now: int) -> tuple[int, bool]:
        """Return the wait in microseconds, and whether the address is known."""
        counters = self._read(keys, now)
        wait = max(0, *(max(counter.held, counter.tried) - now for counter, _ in counters))
        if wait == 0:
            for counter, patience in counters:
                if counter.n >= patience.failures_max:
                    counter.tried = now + TRY_SECONDS * SECOND_US
        return wait, self.knows(keys, now)

    def failed(self, keys: _Keys, now: int) -> None:
        """Count a failure."""
        for counter, patience in self._read(keys, now):
            if counter.held > now:
                continue
            counter.n += 1
            counter.tried = 0
            if counter.n == 1:
                counter.ends = now + patience.window_seconds * SECOND_US
            if counter.n >= patience.failures_max:
                doubled = WAIT_SECONDS_MIN << min(counter.n - patience.failures_max, _DOUBLINGS_MAX)
                counter.held = now + min(doubled, WAIT_SECONDS_MAX) * SECOND_US
                counter.ends = counter.held + patience.window_seconds * SECOND_US

    def succeeded(self, keys: _Keys, now: int) -> None:
        """Forget the pair's failures; the address is known from now on."""
        self._counters.pop(keys.pair, None)
        known = self._known.setdefault(keys.known, OrderedDict())
        self._known.move_to_end(keys.known)
        known[keys.address] = now
        known.move_to_end(keys.address)
        while len(known) > KNOWN_MAX:
            known.popitem(last=False)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def knows(self, keys: _Keys, now: int) -> bool:
        """Whether the address is known."""
        known = self._known.get(keys.known)
        used = None if known is None else known.get(keys.address)
        return used is not None and now - used < KNOWN_SECONDS * SECOND_US

    def _read(self, keys: _Keys, now: int) -> list[tuple[_Counter, Patience]]:
        wanted = [(keys.pair, OF_PAIR)] + ([] if self.knows(keys, now) else [(keys.account, OF_ACCOUNT)])
        return [(self._counter(key, now), patience) for key, patience in wanted]

    def _counter(self, key: str, now: int) -> _Counter:
        counter = self._counters.get(key)
        if counter is None or now >= counter.ends:
            # Those of ends = 0 are as good as new, so one that was only looked at may be dropped as well.
            counter = self._counters[key] = _Counter()
        self._counters.move_to_end(key)
        while len(self._counters) > REMEMBERED_MAX:
            self._counters.popitem(last=False)
        return counter
