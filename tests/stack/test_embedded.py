"""The embedded stack against what happens to it: kills, second copies, leftovers, odd folders."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from ops.stack import DataFolderInUseError, EmbeddedStack, StackError, Urls, postgres_binary
from ops.stack.folders import (
    ServerUser,
    make_data_folder,
    make_private_folder,
    server_user,
    socket_folder,
)
from ops.stack.postgres import Postgres, clean_environment
from ops.stack.process import spawn
from ops.stack.survivors import remove_stale_files

PARENT_MODE = 0o751  # as little as the servers' user needs, and not what anything would set by itself
REPOSITORY = Path(__file__).parents[2]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="what only root meets")

# Holds a stack until its stdin closes, and says where it is.
OWNER = """
import json, os, sys
from pathlib import Path
from ops.stack import EmbeddedStack
with EmbeddedStack(Path(sys.argv[1])) as stack:
    urls = stack.urls
    print(json.dumps([os.geteuid(), stack.supervisor.pids(), urls.database_url, urls.redis_url]), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def stack(make_folder):
    parent = make_folder()
    parent.chmod(PARENT_MODE)
    with EmbeddedStack(parent / "data") as running:
        yield running


def query(urls, sql):
    async def ask():
        connection = await asyncpg.connect(urls.database_url, timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def answers(urls):
    """Whether the database answers just now."""
    try:
        return query(urls, "SELECT true")
    except (OSError, asyncpg.PostgresError):
        return False


def ping(urls):
    with redis.Redis.from_url(urls.redis_url, socket_timeout=2) as client:
        return client.ping()


def pings(urls):
    try:
        return ping(urls)
    except redis.RedisError:
        return False


def gone(pid):
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def start_owner(data, **options):
    command = [*options.pop("prefix", ()), sys.executable, "-c", OWNER, str(data)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=REPOSITORY, text=True, **options)


def test_a_second_start_finds_the_data_and_the_keys(data):
    with EmbeddedStack(data) as stack:
        query(stack.urls, "CREATE TABLE kept AS SELECT 42 AS answer")
        key, sandbox = stack.secret_key, stack.sandbox_webhook_secret
        assert ping(stack.urls)
    with EmbeddedStack(data) as stack:
        assert query(stack.urls, "SELECT answer FROM kept") == 42
        assert stack.secret_key == key == (data / "secret_key").read_text()
        assert len(key) == 44
        assert stack.sandbox_webhook_secret == sandbox == (data / "sandbox_webhook_secret").read_text()
        assert sandbox.startswith("whsec_")
        assert mode(data / "secret_key") == mode(data / "sandbox_webhook_secret") == 0o600


def test_only_the_servers_user_enters_the_sockets_folder(stack):
    assert mode(stack.data / "run") == 0o700
    assert mode(stack.data / "postgres") == 0o700
    expected = 0o711 if os.geteuid() == 0 else 0o700
    assert mode(stack.data) == expected
    assert query(stack.urls, "SHOW listen_addresses") == ""


def test_nothing_accepted_can_be_lost(stack):
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert query(stack.urls, f"SHOW {setting}") == "on"


def test_the_role_is_no_superuser_but_may_make_databases(stack):
    assert query(stack.urls, "SELECT rolcreatedb AND NOT rolsuper FROM pg_roles WHERE rolname = current_user")


def test_a_second_copy_is_refused_in_one_line(stack):
    with pytest.raises(DataFolderInUseError) as refusal:
        EmbeddedStack(stack.data).start()
    message = str(refusal.value)
    assert "\n" not in message
    assert str(stack.data) in message
    assert f"process {os.getpid()}" in message
    assert answers(stack.urls)


def test_a_link_to_the_folder_is_the_same_folder(stack, make_folder):
    link = make_folder() / "link"
    link.symlink_to(stack.data)
    with pytest.raises(DataFolderInUseError):
        EmbeddedStack(link).start()


def test_a_killed_valkey_comes_back_within_a_second(stack, eventually):
    before = stack.supervisor.pids()["valkey"]
    stack.supervisor.kill("valkey", signal.SIGKILL)
    eventually(lambda: stack.supervisor.pids().get("valkey", before) != before, 1)
    eventually(lambda: pings(stack.urls), 1)
    assert stack.supervisor.pids()["valkey"] != before


def test_a_killed_postgres_comes_back_after_its_backends_are_gone(stack, eventually):
    query(stack.urls, "CREATE TABLE survives AS SELECT 7 AS answer")
    postmaster = stack.supervisor.pids()["postgres"]
    # A backend in a loop does not notice that its postmaster is dead.
    command = [str(postgres_binary("psql")), "-h", str(stack.data / "run"), "-U", "ordermill", "ordermill"]
    client = subprocess.Popen([*command, "-qc", "DO $$ BEGIN LOOP END LOOP; END $$"], stderr=subprocess.DEVNULL)
    busy_sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
    backend = eventually(lambda: query(stack.urls, busy_sql))

    stack.supervisor.kill("postgres", signal.SIGKILL)

    eventually(lambda: stack.supervisor.pids().get("postgres", postmaster) != postmaster)
    assert gone(backend)
    eventually(lambda: answers(stack.urls))
    assert query(stack.urls, "SELECT answer FROM survives") == 7
    client.wait(5)


@linux_only
def test_servers_die_with_a_killed_owner_and_the_data_stays(data):
    with start_owner(data) as owner:
        _, pids, database_url, redis_url = json.loads(owner.stdout.readline())
        query(Urls(database_url, redis_url), "CREATE TABLE committed AS SELECT 1 AS answer")
        owner.kill()
    with EmbeddedStack(data) as stack:  # at once: a start waits for what is still ending
        assert all(gone(pid) for pid in pids.values())
        assert query(stack.urls, "SELECT answer FROM committed") == 1


@linux_only
def test_no_server_outlives_a_killed_owner(data, eventually):
    with start_owner(data) as owner:
        _, pids, _, _ = json.loads(owner.stdout.readline())
        backends = [process.pid for process in psutil.Process(pids["postgres"]).children()]
        owner.kill()
    assert backends
    eventually(lambda: all(gone(pid) for pid in [*pids.values(), *backends]))


def test_servers_outlive_the_thread_that_started_them(data):
    stack = EmbeddedStack(data)
    thread = threading.Thread(target=stack.start)
    thread.start()
    thread.join()
    try:
        pids = stack.supervisor.pids()
        assert answers(stack.urls)
        assert ping(stack.urls)
        assert stack.supervisor.pids() == pids
        assert stack.supervisor.last_exit("postgres") is None
    finally:
        stack.stop()


def test_a_server_without_an_owner_is_ended_before_a_start(data, eventually):
    """As after the death of an owner on macOS, where no signal tells its servers."""
    with EmbeddedStack(data) as stack:
        query(stack.urls, "CREATE TABLE kept AS SELECT 1 AS answer")
        urls = stack.urls
    child = Postgres(data / "postgres", data / "run", data / "postgres.log", server_user(), {}).child()
    left_behind = spawn(child.argv, env=child.env, cwd=child.cwd, log=child.log, user=child.user)
    eventually(lambda: answers(urls))
    with EmbeddedStack(data) as stack:
        assert left_behind.wait(0) == 0
        assert query(stack.urls, "SELECT answer FROM kept") == 1


def test_a_stale_pid_that_went_to_another_process_is_no_server(data):
    lock = ".s.PGSQL.5432.lock"
    with EmbeddedStack(data):
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        socket_lines = (data / "run" / lock).read_text().splitlines()
    # PostgreSQL believes in any live process of its own user.
    other = spawn(["sleep", "60"], env=os.environ, user=server_user())
    try:
        for path, content in (
            (data / "postgres" / "postmaster.pid", lines),
            (data / "run" / lock, socket_lines),
        ):
            path.write_text("\n".join([str(other.pid), *content[1:], ""]))
        with EmbeddedStack(data) as stack:
            assert answers(stack.urls)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@linux_only
def test_postmaster_pid_stays_while_its_shared_memory_is_in_use(stack):
    folder = stack.data / "postgres"
    with pytest.raises(StackError, match="shared memory block"):
        remove_stale_files(folder, stack.data / "run" / "no.lock")
    assert (folder / "postmaster.pid").exists()


def test_a_half_made_cluster_is_thrown_away_and_made_again(data, eventually):
    unfinished, user = data / "postgres.new", server_user()
    make_data_folder(data)
    make_private_folder(unfinished, user)
    initdb = [str(postgres_binary("initdb")), "-D", str(unfinished), "--username=postgres", "--auth=trust"]
    left_behind = spawn(initdb, env=clean_environment(), cwd=unfinished, log=data / "initdb.log", user=user)
    eventually((unfinished / "global").exists)
    os.kill(left_behind.pid, signal.SIGSTOP)

    with EmbeddedStack(data) as stack:
        assert answers(stack.urls)
        assert left_behind.wait(0) == -signal.SIGKILL
        assert not unfinished.exists()


def test_a_path_too_long_for_a_socket(make_folder):
    data = make_folder() / ("a long path, with spaces and 100 % " * 4) / "data"
    run = socket_folder(data)
    assert not run.is_relative_to(data)
    try:
        with EmbeddedStack(data) as stack:
            assert answers(stack.urls)
            assert ping(stack.urls)
            assert mode(run) == 0o700
    finally:
        shutil.rmtree(run)


def test_a_folder_with_signs_that_urls_escape(make_folder):
    with EmbeddedStack(make_folder() / "100 % + ü?#&") as stack:
        assert answers(stack.urls)
        assert ping(stack.urls)


def test_a_start_that_fails_says_why_and_leaves_the_folder_free(data):
    with pytest.raises(StackError, match='invalid value for parameter "work_mem"'):
        EmbeddedStack(data, postgres_settings={"work_mem": "much"}).start()
    with EmbeddedStack(data, postgres_settings={"work_mem": "12MB"}) as stack:
        assert query(stack.urls, "SHOW work_mem") == "12MB"


@pytest.mark.parametrize("name", ["fsync", "Synchronous_Commit", "listen_addresses"])
def test_durability_and_reach_are_not_for_tuning(data, name):
    with pytest.raises(ValueError, match=name.lower()):
        EmbeddedStack(data, postgres_settings={name: "off"})


def test_parent_folders_keep_their_modes(stack):
    assert mode(stack.data.parent) == PARENT_MODE


@root_only
def test_a_folder_that_shuts_out_the_servers_user_is_refused_not_opened(make_folder):
    parent = make_folder() / "private"
    parent.mkdir(mode=0o700)
    with pytest.raises(StackError, match=rf"nobody, who may not enter {parent};"):
        EmbeddedStack(parent / "data").start()
    assert mode(parent) == 0o700


@root_only
def test_as_root_the_servers_run_as_nobody(stack):
    assert {psutil.Process(pid).username() for pid in stack.supervisor.pids().values()} == {"nobody"}


@root_only
def test_as_an_ordinary_user(make_folder):
    user = server_user()
    data = make_folder(owner=user) / "data"
    with start_owner(data, **ordinary_user_options(user)) as owner:
        uid, pids, database_url, redis_url = json.loads(owner.stdout.readline())
        assert uid == user.uid
        assert {psutil.Process(pid).uids().effective for pid in pids.values()} == {user.uid}
        assert answers(Urls(database_url, redis_url))
        assert mode(data) == 0o700
        owner.stdin.close()
        assert owner.wait(10) == 0
    assert all(gone(pid) for pid in pids.values())


def ordinary_user_options(user: ServerUser):
    """How to run this interpreter as `user`: root's own, or the servers, may lie in a folder others cannot enter."""
    reach = "import os, sys; from ops.stack import postgres_binary as p; sys.exit(not os.access(p('initdb'), os.X_OK))"
    plain = {"user": user.uid, "group": user.gid, "extra_groups": []}
    setpriv = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    setpriv += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]
    for options in (plain, {"prefix": setpriv}):
        try:
            command = [*options.get("prefix", ()), sys.executable, "-c", reach]
            account = {name: value for name, value in options.items() if name != "prefix"}
            if subprocess.run(command, capture_output=True, check=False, **account).returncode == 0:
                return options
        except OSError:
            continue  # it cannot be run in this way
    pytest.skip(f"{sys.executable} cannot be run as {user.name}")
