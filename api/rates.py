"""How often a client may ask, as this deployment is set: the limits, and what answers say of them.

Invariant: an answer to a limited request says how the limit stands, whatever its status, in the fields
``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-11). A request that is refused did nothing,
and the same one is let through after its ``Retry-After``, unless others came first.
"""

from typing import Any

from msgspec import Struct

from api.address import address_of
from api.problems import ProblemError, refuse
from domain.rejections import Code
from infra.buckets import Bucket, Buckets, Policy, Verdict
from infra.lockout import Lockout
from infra.names import Names
from infra.pace import Pace
from infra.scripts import Scripts
from infra.security import Principal
from infra.settings import Settings

RATE = "rate"
"""Where a request's scope keeps the header fields that say how its limits stand."""
MINUTE_SECONDS = 60
Fields = tuple[tuple[bytes, bytes], ...]


class Attempt(Struct, frozen=True):
    """An attempt to prove that an account is one's own. Tell how it ended: only then it counts."""

    account: str
    address: str
    lockout: Lockout | None

    async def failed(self) -> None:
        """It was somebody else, or a mistake."""
        if self.lockout is not None:
            await self.lockout.failed(self.account, self.address)

    async def succeeded(self) -> None:
        """It was the owner: from now on this address is known for the account."""
        if self.lockout is not None:
            await self.lockout.succeeded(self.account, self.address)


class Rates:
    """The limits of one process; ``scripts`` when they go by another clock than Redis's."""

    def __init__(self, settings: Settings, scripts: Scripts | None = None) -> None:
        self._on = settings.rate_limits == "on"
        self._trusted = settings.trusted_proxies
        self._of_address = Policy("auth-address", settings.rate_auth_per_minute, MINUTE_SECONDS)
        self._of_account = Policy("auth-account", settings.rate_auth_per_minute, MINUTE_SECONDS)
        self._scripts = scripts or Scripts(settings.redis_url)
        self._names = Names(settings.secret_key)
        self._buckets = Buckets(self._scripts)
        self._lockout = Lockout(self._scripts, self._names)
        self._pace = Pace(Policy("principal", settings.rate_requests_per_second, 1), self._scripts, self._names)
        # By what is left: nearly every answer has one of these.
        self._told: list[Fields | None] = [None] * settings.rate_requests_per_second

    def start(self) -> None:
        """Begin to hear of other processes."""
        if self._on:
            self._pace.start()

    async def stop(self) -> None:
        """Hear of them no more."""
        await self._pace.stop()
        await self._scripts.close()

    def admit(self, scope: Any, principal: Principal | None) -> None:
        """Count a request of a principal, or of its address where there is none; raises a problem of status 429."""
        if not self._on:
            return
        key = address_of(scope, self._trusted) if principal is None else principal.id.int
        left = self._pace.take(key)
        if left < 0:
            verdict = self._pace.verdict(key, allowed=False)
            raise _refused(scope, verdict, f"{verdict.policy.limit} requests a second are allowed")
        if not scope[RATE]:
            scope[RATE] = self._told[left] or self._tell(left)

    def _tell(self, left: int) -> Fields:
        # A unit comes back within the second, so that is how long no others do.
        fields = self._told[left] = fields_of(
            Verdict(allowed=True, policy=self._pace.policy, remaining=left, reset_seconds=1)
        )
        return fields

    async def admit_strictly(self, scope: Any) -> None:
        """Count a request to a route that tells who somebody is; raises a problem of status 429."""
        if self._on:
            scope[RATE] = fields_of(await self._take(scope, self._of_address, address_of(scope, self._trusted)))

    async def admit_about(self, scope: Any, account: str) -> None:
        """Count a request about an account, unless it comes from an address known for it; raises 429.

        ``account`` is the e-mail address by which accounts are told apart, whether there is such an account or not.
        """
        if self._on and not await self._lockout.knows(account, address_of(scope, self._trusted)):
            # How its limit stands isn't told unless it refuses: that would show where the account is known.
            await self._take(scope, self._of_account, account)

    async def attempt(self, scope: Any, account: str) -> Attempt:
        """Begin to check a password; raises 429 while attempts have to wait. See :meth:`admit_about`."""
        address = address_of(scope, self._trusted)
        if not self._on:
            return Attempt(account, address, None)
        standing = await self._lockout.check(account, address)
        if standing.wait_seconds:
            raise _wait(standing.wait_seconds, "too many attempts have failed")
        if not standing.known:
            await self._take(scope, self._of_account, account)
        return Attempt(account, address, self._lockout)

    async def vouch(self, scope: Any, account: str) -> None:
        """Take an account's owner to be at a request's address, because something other than a password shows it."""
        if self._on:
            await self._lockout.succeeded(account, address_of(scope, self._trusted))

    async def _take(self, scope: Any, policy: Policy, client: str) -> Verdict:
        key = f"ordermill:bucket:{self._names.of(policy.name, client)}"
        verdict = await self._buckets.take([Bucket(key, policy)])
        if not verdict.allowed:
            raise _refused(scope, verdict, f"{policy.limit} requests of this kind a minute are allowed")
        return verdict


def fields_of(verdict: Verdict) -> Fields:
    """The header fields that tell a verdict."""
    policy = verdict.policy
    return (
        (b"ratelimit-policy", f'"{policy.name}";q={policy.limit};w={policy.window_seconds}'.encode()),
        (b"ratelimit", f'"{policy.name}";r={verdict.remaining};t={verdict.reset_seconds}'.encode()),
    )


def _refused(scope: Any, verdict: Verdict, allowed: str) -> ProblemError:
    scope[RATE] = fields_of(verdict)
    return _wait(verdict.retry_after_seconds, allowed)


def _wait(seconds: int, reason: str) -> ProblemError:
    return refuse(429, Code.RATE_LIMITED, f"{reason}; try again in {seconds} s", Retry_After=str(seconds))
