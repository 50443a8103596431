"""Worker sessions: limits that hold in every transaction, behind a pooler in transaction mode as well."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import pytest

from domain.journal.declare import Batch
from domain.journal.model import Succeeded
from infra import postgres
from infra.settings import SettingError, Settings
from jobs.place_orders import place_orders
from ops.catalog import STEP_OFFERS
from tests.builders import place, submit, write_offers
from tests.engine.parts import Call, Note, Rig, effect_job, rig_of, until
from tests.system import eventually, free_port
from workers.engine import Engine

pytestmark = pytest.mark.anyio

LIMITS = {
    "transaction_timeout": "10s",
    "idle_in_transaction_session_timeout": "2s",
    "lock_timeout": "3s",
    # Plans are generic, and never scan a table: docs/decisions/0009.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}


async def limits_of(conn: Any) -> dict[str, str]:
    return {name: await conn.fetchval(f"SHOW {name}") for name in LIMITS}


async def test_a_batch_runs_under_the_limits(rig: Rig):
    seen = []

    async def run(batch: Batch[Note]) -> Any:
        seen.append(await limits_of(batch.conn))
        return [Succeeded()] * len(batch.commands)

    await submit(rig.conn, Note("a"))
    await rig.drain(rig.runner(run))
    assert seen == [LIMITS]


async def test_every_other_transaction_runs_under_them_too_and_leaves_nothing_behind(rig: Rig):
    async with rig.pool.acquire() as conn:
        before = await limits_of(conn)
        async with postgres.transaction(conn):
            assert await limits_of(conn) == LIMITS
        assert await limits_of(conn) == before


async def test_a_transaction_that_raises_is_rolled_back(rig: Rig):
    async with rig.pool.acquire() as conn:
        with pytest.raises(ZeroDivisionError):
            async with postgres.transaction(conn):
                await conn.execute("INSERT INTO written (id, text) VALUES (gen_random_uuid(), 'a')")
                raise ZeroDivisionError
        assert not conn.is_in_transaction()
    assert await rig.texts() == []


async def test_a_worker_that_hangs_inside_a_batch_loses_its_claims_within_seconds(rig: Rig):
    """The session is ended by PostgreSQL, so another worker takes over."""

    async def hang(batch: Batch[Note]) -> Any:
        async def gone() -> bool:
            return not await rig.conn.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", batch.conn.get_server_pid()
            )

        await until(gone, 5)
        return [Succeeded()] * len(batch.commands)

    ids = await submit(rig.conn, Note("a"))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await rig.run(rig.runner(hang))
    assert await rig.statuses(ids) == ["pending"]


def test_tcp_connections_are_kept_alive():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        postgres._keep_alive(SimpleNamespace(_transport=SimpleNamespace(get_extra_info=lambda _: sock)))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


def test_an_import_goes_in_bounded_steps():
    assert STEP_OFFERS <= 2_000


async def test_a_boot_that_would_want_more_connections_than_postgresql_has_is_refused(settings: Settings):
    await postgres.check_connections(settings)
    greedy = msgspec.structs.replace(settings, api_connections_max=1_000)
    with pytest.raises(SettingError, match="API_CONNECTIONS_MAX"):
        await postgres.check_connections(greedy)
    await postgres.check_connections(msgspec.structs.replace(greedy, database_pooler="transaction"))


async def run_everything(rig: Rig) -> None:
    """Orders, a data error, an effect and the engine itself, through whatever the settings point at."""
    offers = await write_offers(rig.conn, offers=4, sellers=2, units=1_000)
    orders = await submit(rig.conn, *[place(*offers) for _ in range(30)])
    (call,) = await submit(rig.conn, Call())
    await rig.drain(rig.runner(place_orders))
    assert await rig.statuses(orders) == ["succeeded"] * 30

    async def act(_attempt: Any) -> Succeeded:
        return Succeeded()

    more = await submit(rig.conn, *[place(*offers) for _ in range(10)])
    engine = Engine(rig.settings, [place_orders, effect_job(act)])
    await engine.start()
    try:

        async def done() -> bool:
            return "pending" not in await rig.statuses([*more, call])

        await until(done, 10)
    finally:
        await engine.stop()
    assert await rig.statuses([*more, call]) == ["succeeded"] * 11


async def test_the_engine_runs_with_a_poolers_settings(rig: Rig):
    pooled = msgspec.structs.replace(rig.settings, database_pooler="transaction")
    async with rig_of(pooled, rig.conn) as behind:
        async with behind.pool.acquire() as conn:
            assert conn._config.statement_cache_size == 0, "a statement prepared in one session is unknown in the next"
            assert await conn.fetchval("SHOW application_name") == "", "a pooler refuses start-up parameters"
        await run_everything(behind)


@pytest.fixture
def pgbouncer(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings that go through a real PgBouncer in transaction mode, where one is installed."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    url = urlsplit(settings.database_url)
    host = parse_qs(url.query)["host"][0]
    port = free_port()
    folder = tmp_path
    (folder / "users").write_text(f'"{url.username}" ""\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host={host} port={parse_qs(url.query).get('port', ['5432'])[0]} user={url.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"auth_file = {folder / 'users'}\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 100\n"
    )
    # It won't run as root; the server's folder is open to the server's user only.
    as_user = {"user": "nobody"} if os.geteuid() == 0 else {}
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    for parent in list(folder.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    process = subprocess.Popen([program, str(folder / "ini")], stderr=subprocess.DEVNULL, **as_user)
    try:

        def listening() -> bool:
            assert process.poll() is None, "pgbouncer ended"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(listening, 10)
        yield msgspec.structs.replace(
            settings,
            database_url=f"postgresql://{url.username}@127.0.0.1:{port}{url.path}",
            database_pooler="transaction",
        )
    finally:
        process.kill()
        process.wait()


async def test_the_engine_runs_behind_a_real_pgbouncer(rig: Rig, pgbouncer: Settings):
    async with rig_of(pgbouncer, rig.conn) as behind:
        seen = []

        async def run(batch: Batch[Note]) -> Any:
            seen.append(await limits_of(batch.conn))
            return [Succeeded()] * len(batch.commands)

        await submit(rig.conn, Note("a"))
        await behind.drain(behind.runner(run))
        assert seen == [LIMITS], "limits are set per transaction, so they hold here, too"
        await run_everything(behind)
