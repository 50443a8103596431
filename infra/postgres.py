"""PostgreSQL: pools, the limits of a session, and what an error means.

Invariant: no transaction of ours outlives 10 seconds. The limits are set at the start of each transaction
(``SET LOCAL``), not per session, so they hold behind PgBouncer in transaction mode as well.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

import asyncpg

from infra.settings import SettingError, Settings

RESERVED_CONNECTIONS = 5
"""Connections left to operators and migrations when boot checks what PostgreSQL allows."""
SANDBOX_CONNECTIONS = 4
"""Connections of a worker to the books of the payment sandbox, where there is one."""
OTHER_CONNECTIONS = 4
"""A worker's for the audit, and the scheduler's as long as its ticks don't fall together."""
SUBSCRIPTION_CONNECTIONS = 2
"""Connections on which a worker of the lane ``io`` runs subscriptions."""

# A generic plan made while a table was small would go on scanning it when it has grown; without sequential scans
# it can't. Custom plans are made anew for each execution, and for each row of a foreign key check; left to choose,
# PostgreSQL makes them for good where partitions or arrays are involved (docs/decisions/0009).
_PLANS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
_LIMITS = {
    "transaction_timeout": "'10s'",
    "idle_in_transaction_session_timeout": "'2s'",
    "lock_timeout": "'3s'",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
BEGIN = "; ".join(["BEGIN", *(f"SET LOCAL {name} = {value}" for name, value in {**_LIMITS, **_PLANS}.items())])

# For the few reads whose best plan depends on how common a value is.
BEGIN_PLANNING = f"{BEGIN}; SET TRANSACTION READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan"

# For reading in several statements what belongs together: all of it as it stands at the first.
BEGIN_SNAPSHOT = f"{BEGIN}; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# Outside of transactions, where no pooler stands between: an idle api answers sooner when it doesn't plan its few
# statements again and again.
SESSION = {"jit": "off", **_PLANS}


class Failure(Enum):
    """What a failed statement says about the command that sent it."""

    INFRASTRUCTURE = "infrastructure"
    """Connection, deadlock, serialisation, time-out: the same work may succeed next time."""
    DATA = "data"
    """The data or the code is at fault: the same work fails again."""


_INFRASTRUCTURE_CLASSES = ("08", "40", "53", "55", "57", "58")


def classify(error: BaseException) -> Failure:
    """Tell an infrastructure error (no attempt is counted) from a data error."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        # 25P03/25P04: idle-in-transaction and transaction time-outs.
        if state[:2] in _INFRASTRUCTURE_CLASSES or state in {"25P03", "25P04"}:
            return Failure.INFRASTRUCTURE
        # A CHECK that names no constraint is a row without a partition: nobody made the day, the data is fine.
        if state == "23514" and not getattr(error, "constraint_name", None):
            return Failure.INFRASTRUCTURE
        return Failure.DATA
    if isinstance(error, asyncpg.InternalClientError | asyncpg.InterfaceError):
        # asyncpg says so both of a value it can't encode and of a connection that is closed.
        return Failure.DATA if isinstance(error, asyncpg.DataError) else Failure.INFRASTRUCTURE
    if isinstance(error, OSError | TimeoutError | EOFError):
        return Failure.INFRASTRUCTURE
    return Failure.DATA


def ran_out_of_time(error: BaseException) -> bool:
    """Whether a statement was ended because it took too long."""
    return isinstance(error, asyncpg.QueryCanceledError)


def violated(error: BaseException) -> str | None:
    """The unique or exclusion constraint that an error says would be broken; None for every other error."""
    if isinstance(error, asyncpg.UniqueViolationError | asyncpg.ExclusionViolationError):
        return str(error.constraint_name)
    return None


async def _no_reset(_connection: Any) -> None:
    """Nothing is left behind in a session, so giving one back costs no round trip."""


def _keep_alive(connection: Any) -> None:
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def create_pool(settings: Settings, *, size: int, name: str) -> Any:
    """Open a pool of at most ``size`` connections named ``name`` in pg_stat_activity.

    Connections open as they are needed, so a process boots while PostgreSQL is away.
    """

    async def init(connection: Any) -> None:
        _keep_alive(connection)

    pooled = settings.database_pooler == "transaction"
    return await asyncpg.create_pool(
        settings.database_url,
        min_size=0,
        max_size=size,
        init=init,
        reset=_no_reset,
        timeout=5,
        max_inactive_connection_lifetime=300,
        # A pooler hands each transaction to another session: statements prepared in one are unknown in the next.
        statement_cache_size=0 if pooled else 512,
        server_settings=None if pooled else {"application_name": f"ordermill-{name}", **SESSION},
    )


async def check_connections(settings: Settings) -> None:
    """Refuse to boot when the configured pools could ask PostgreSQL for more connections than it has.

    Behind a pooler its own limits rule. Raises SettingError.
    """
    if settings.database_pooler == "transaction":
        return
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=10)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise SettingError(f"DATABASE_URL: PostgreSQL says: {error}") from None
    try:
        allowed = int(await connection.fetchval("SHOW max_connections")) - RESERVED_CONNECTIONS
    finally:
        await connection.close()
    books = SANDBOX_CONNECTIONS * 2 if settings.sandbox_webhook_secret else 0
    others = books + SUBSCRIPTION_CONNECTIONS + OTHER_CONNECTIONS
    wanted = settings.api_connections_max * settings.http_processes + settings.worker_connections_max * 2 + others
    if wanted > allowed:
        more = f" + {books} of the sandbox" if books else ""
        more += f" + {SUBSCRIPTION_CONNECTIONS} of subscriptions + {OTHER_CONNECTIONS}"
        raise SettingError(
            f"API_CONNECTIONS_MAX x HTTP_PROCESSES + WORKER_CONNECTIONS_MAX x 2{more} = {wanted} connections,"
            f" but PostgreSQL allows {allowed} (max_connections less {RESERVED_CONNECTIONS})"
        )


def is_gone(conn: Any) -> bool:
    """Whether a connection is beyond use. One of a pool that broke has been taken back, and says so by raising."""
    try:
        return bool(conn.is_closed())
    except asyncpg.InterfaceError:
        return True


@asynccontextmanager
async def transaction(conn: Any, begin: str = BEGIN) -> AsyncIterator[None]:
    """Run a short transaction under the session limits; commit, or roll back when the body raises."""
    await conn.execute(begin)
    try:
        yield
    except BaseException:
        if not is_gone(conn):
            await conn.execute("ROLLBACK")
        raise
    await conn.execute("COMMIT")


@asynccontextmanager
async def planning(conn: Any) -> AsyncIterator[None]:
    """Run reads whose plans depend on their arguments: in a short read-only transaction, planned for each execution."""
    async with transaction(conn, BEGIN_PLANNING):
        yield
