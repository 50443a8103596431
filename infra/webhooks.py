"""How webhooks are sent: signed when they are, to public addresses, over connections that are kept.

Invariant: no redirect is followed, no proxy is asked and nothing of a response but its beginning is kept. Each endpoint
is an outside party with a breaker of its own, so one that is away costs the others nothing. No error shows a secret.
"""

import ssl
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from uuid import UUID

import httpcore
from msgspec import Struct

from domain.notifications.webhook_model import RESPONSE_LENGTH_MAX
from domain.notifications.webhooks import Reply
from infra import settings, telemetry, trace_context
from infra.destinations import ForbiddenDestinationError, GuardedBackend
from infra.encryption import Sealer, SealError
from infra.parties import Bounds, Party, PartyBusyError
from infra.settings import Settings
from infra.standard_webhooks import Signer

log = telemetry.logger()
SEALED_FOR = "webhook endpoint"
AGENT = "Ordermill-Webhooks/1"
CONNECTIONS_MAX = 512
IDLE_CONNECTIONS_MAX = 128
IDLE_SECONDS = 30.0
RESPONSE_BYTES_MAX = 4 * RESPONSE_LENGTH_MAX
PARTIES_KEPT = 10_000
SLOT_SECONDS = 0.5
"""How long a try waits for one of its endpoint's slots; who fails gets one slot, and nobody waits for that."""
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError, TimeoutError)

_KINDS: Mapping[type[BaseException], str] = {
    httpcore.ConnectTimeout: "no connection in time",
    httpcore.ReadTimeout: "no answer in time",
    httpcore.WriteTimeout: "it didn't take the request in time",
    httpcore.PoolTimeout: "no connection was free in time",
    httpcore.RemoteProtocolError: "what it answered is no HTTP",
}


class SilentEndpointError(Exception):
    """Nothing was answered; the message says why."""


class Parcel(Struct, frozen=True):
    """What is sent to whom, and with which secrets it is signed, sealed and the newest first."""

    webhook_id: str
    endpoint_id: UUID
    url: str
    body: str
    secrets: tuple[bytes, ...]


class Postman:
    """Sends webhooks of one process."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._sealer = Sealer(config.encryption_secrets())
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=IDLE_CONNECTIONS_MAX,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=GuardedBackend(allow_private=config.webhook_allow_private == "on"),
        )
        self._bounds = Bounds(
            config.webhook_seconds,
            config.webhook_concurrency,
            config.breaker_failures,
            config.breaker_seconds,
            slot_seconds=SLOT_SECONDS,
        )
        self._parties: OrderedDict[UUID, Party] = OrderedDict()
        self._in_flight: dict[UUID, int] = {}

    async def send(self, parcel: Parcel, *, correlation: str, failing: bool, seconds: float) -> Reply:
        """Send one; returns what was answered, or that nothing was. Raises OutOfReachError where it wasn't sent.

        To an endpoint that is known to be ``failing`` one is sent at a time.
        """
        endpoint = parcel.endpoint_id
        try:
            signers = [Signer(self._sealer.open(each, SEALED_FOR, endpoint).decode()) for each in parcel.secrets]
        except SealError as error:
            log.error("webhook_secret_sealed_for_good", endpoint=str(endpoint), error=str(error))
            return Reply(None, "its secret can't be opened: rotate it", "", 0, parcel.url)
        if failing and self._in_flight.get(endpoint):
            raise PartyBusyError("the endpoint fails, and another webhook tries it", self._config.webhook_seconds)
        self._in_flight[endpoint] = self._in_flight.get(endpoint, 0) + 1
        started = time.monotonic()
        try:
            return await self._party(endpoint).run(lambda left: self._post(parcel, signers, correlation, left), seconds)
        except (SilentEndpointError, ForbiddenDestinationError, TimeoutError) as error:
            said = str(error) or "no answer in time"
            return Reply(None, said[:500], "", _since(started), parcel.url)
        finally:
            self._in_flight[endpoint] -= 1
            if not self._in_flight[endpoint]:
                del self._in_flight[endpoint]

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    def _party(self, endpoint_id: UUID) -> Party:
        party = self._parties.get(endpoint_id)
        if party is None:
            party = Party(
                f"webhook endpoint {endpoint_id}",
                self._bounds,
                lambda error: isinstance(error, SilentEndpointError | TimeoutError),
                counted_as="webhooks",
            )
            self._parties[endpoint_id] = party
        self._parties.move_to_end(endpoint_id)
        if len(self._parties) > PARTIES_KEPT:
            self._parties.popitem(last=False)
        return party

    async def _post(self, parcel: Parcel, signers: Sequence[Signer], correlation: str, seconds: float) -> Reply:
        started = time.monotonic()
        limits = {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds}
        body = parcel.body.encode()
        try:
            async with self._pool.stream(
                "POST",
                parcel.url,
                headers=_fields(parcel, signers, correlation),
                content=body,
                extensions={"timeout": limits},
            ) as response:
                text = await _beginning(response)
                return Reply(
                    response.status,
                    "",
                    text,
                    _since(started),
                    parcel.url,
                    _retry_after(dict(response.headers).get(b"retry-after")),
                )
        except _FAILURES as error:
            raise SilentEndpointError(_why(error)) from None
        except httpcore.UnsupportedProtocol:
            raise ForbiddenDestinationError("only http and https are spoken") from None


def _fields(parcel: Parcel, signers: Sequence[Signer], correlation: str) -> list[tuple[str, str]]:
    now = datetime.now(UTC)
    first, *others = [signer.headers(parcel.webhook_id, now, parcel.body) for signer in signers]
    signatures = [first["webhook-signature"], *(each["webhook-signature"] for each in others)]
    fields = first | {
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
        "user-agent": AGENT,
        **trace_context.onwards(correlation, None),
    }
    return list(fields.items())


async def _beginning(response: httpcore.Response) -> str:
    """The first of what was answered, as text that can be kept. The rest isn't read, and its connection is given up."""
    read = b""
    async for chunk in response.aiter_stream():
        read += chunk
        if len(read) >= RESPONSE_BYTES_MAX:
            break
    text = read[:RESPONSE_BYTES_MAX].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)[
        :RESPONSE_LENGTH_MAX
    ]


def _retry_after(said: bytes | None) -> float | None:
    """What Retry-After asks for, in seconds (RFC 9110 §10.2.3); None when it says nothing we understand."""
    text = "" if said is None else said.decode("latin-1").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo is not None else None


def _why(error: BaseException) -> str:
    """Why nothing was answered: what kind of failure, and what the system says of it."""
    kind = _KINDS.get(type(error), "")
    return kind or f"{type(error).__name__}: {error}"[:300]


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


@cache
def postman() -> Postman:
    """This process's own, made of its settings when the first webhook is sent."""
    return Postman(settings.load())
