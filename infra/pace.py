"""How many requests a second each client makes, over all processes, without asking anybody for each request.

Invariant: a process decides by a bucket of its own, and never waits. In rounds it tells Redis what it gave, and hears
how far the bucket of all processes is drawn. So a client with room gets it in whichever process it comes to, and one
that keeps to one process is limited to the unit. What several processes give before they have heard of each other is
too much, once: it is owed then, and none of them gives more until it is paid back. Over time the limit holds exactly;
how much too much there can be: docs/decisions/0010-limits-counted-locally.md. With Redis gone each process goes
on with its own bucket.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from infra import telemetry
from infra.buckets import REMEMBERED_MAX, SECOND_US, Policy, Verdict, verdict_of
from infra.names import Names
from infra.scripts import Script, Scripts, Unanswered
from infra.tasks import end

log = telemetry.logger()
ROUND_SECONDS = 0.1
TELL_MAX = 500
"""Clients told of in one call: Redis serves nobody else meanwhile."""
FEW_DIVISOR = 30
"""Less than the limit over this in a second is few, and few isn't told: most clients never come near a limit."""
FEW_SECONDS = 1

# ARGV: interval, window, then for each client the units it was given, how long ago the first of them was, and how far
# its bucket is drawn by what the process knows. As if all had been given when the first was: what was spread over a
# round must not look like a burst at its end. Nor may a burst look spread: the process knows it exactly.
_TELL = Script("""
local interval, window, ahead = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
for i, key in ipairs(KEYS) do
    local given, age, known = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
    local full_at = math.max(tonumber(redis.call('GET', key) or 0), now - age) + given * interval
    full_at = math.max(full_at, now + known)
    ahead[i] = full_at - now
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((math.max(ahead[i], 0) + window) / 1000))
end
return ahead
""")


class _Client:
    """A bucket: when it will be full; what was given since it was last told of, and when the first of that was."""

    __slots__ = ("first_at", "full_at", "given", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.full_at = self.given = self.first_at = 0


class Pace:
    """The buckets of a policy, one for each client. Clients are told apart by any key that can be hashed."""

    def __init__(self, policy: Policy, scripts: Scripts, names: Names, *, remembered_max: int = REMEMBERED_MAX) -> None:
        self.policy = policy
        self._scripts = scripts
        self._names = names
        self._remembered_max = remembered_max
        self._interval, self._window = policy.interval_us, policy.window_us
        self._few = policy.limit // FEW_DIVISOR
        self._now: Callable[[], int] = scripts.now
        self._clients: OrderedDict[str | int, _Client] = OrderedDict()
        self._untold: list[_Client] = []
        self._rounds: asyncio.Task[None] | None = None

    def take(self, key: str | int) -> int:
        """Take a unit from a client's bucket; return how many are left, -1 if there was none."""
        client = self._clients.get(key)
        if client is None:
            client = self._add(key)
        else:
            self._clients.move_to_end(key)
        now = self._now()
        full_at = client.full_at
        full_at = max(full_at, now)
        full_at += self._interval
        room = self._window - full_at + now
        if room < 0:
            return -1
        client.full_at = full_at
        if not client.given:
            client.first_at = now
            self._untold.append(client)
        client.given += 1
        return room // self._interval

    def verdict(self, key: str | int, *, allowed: bool) -> Verdict:
        """Tell how a client's bucket stands."""
        client = self._clients.get(key)
        ahead = 0 if client is None else max(0, client.full_at - self._now())
        return verdict_of(self.policy, ahead, allowed=allowed)

    def _add(self, key: str | int) -> _Client:
        client = self._clients[key] = _Client(f"ordermill:pace:{self._names.of(self.policy.name, str(key))}")
        if len(self._clients) > self._remembered_max:
            # Whoever was given something lately is still told of: that list holds it.
            self._clients.popitem(last=False)
        return client

    def start(self) -> None:
        """Begin to tell and to hear."""
        self._rounds = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Tell no more."""
        await end(self._rounds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self.reconcile()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round must come
                log.error("pace_round_failed", error=repr(error))
                telemetry.report(error)

    async def reconcile(self) -> None:
        """Tell what was given since the last round, and take over how far the buckets of all processes are drawn."""
        clients = self._due()
        for start in range(0, len(clients), TELL_MAX):
            try:
                await self._tell(clients[start : start + TELL_MAX])
            except Unanswered:
                # It may have been heard all the same, and told twice it would be owed twice. So it is forgotten.
                for client in clients[start + TELL_MAX :]:
                    client.given = 0
                return

    def _due(self) -> list[_Client]:
        """The clients to tell of in this round. The others are left for another one, until it was few in a second."""
        long_ago = self._now() - FEW_SECONDS * SECOND_US
        due: list[_Client] = []
        later: list[_Client] = []
        for client in self._untold:
            if client.given > self._few:
                due.append(client)
            elif client.first_at > long_ago:
                later.append(client)
            else:
                client.given = 0
        self._untold = later
        return due

    async def _tell(self, clients: Sequence[_Client]) -> None:
        now = self._now()
        args: list[int | str] = [self._interval, self._window]
        for client in clients:
            args += (client.given, now - client.first_at, client.full_at - now)
            client.given = 0
        ahead: list[int] = await self._scripts.run(_TELL, [client.name for client in clients], args)
        for client, ahead_us in zip(clients, ahead, strict=True):
            # From when it was sent: waiting for the answer must make no client wait.
            drawn = now + ahead_us + client.given * self._interval
            client.full_at = max(client.full_at, drawn)
