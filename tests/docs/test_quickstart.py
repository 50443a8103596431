"""The README's quick start, run as it is written."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import asyncpg
import msgspec
import pytest

from infra.settings import Settings
from ops.sample import write_sample
from tests.builders import token
from tests.docs.source import text_of
from tests.system import System

README = text_of(Path("README.md"))


def _blocks() -> list[str]:
    section = README.partition("\n## Quick start\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def test_the_set_up_commands_come_first():
    first = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[0]
    assert [line.partition("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_the_quick_start_says_where_the_api_listens_by_default():
    given = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    exports, _ = _blocks()
    assert f"export BASE=http://{given['http_host']}:{given['http_port']}\n" in exports
    assert re.search(r"^export TOKEN=\.\.\.", exports, re.MULTILINE)


def test_the_three_lines_of_the_quick_start_order_poll_and_cancel(system: System, database_url: str):
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("the quick start is written for bash and curl")

    async def stock_up() -> None:
        conn = await asyncpg.connect(database_url)
        await write_sample(conn)
        await conn.close()

    asyncio.run(stock_up())
    base = system.web()
    system.worker()
    lines = _blocks()[1].splitlines()
    assert len(lines) == 3
    assert all("curl -s" in line for line in lines)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([*lines[:2], "echo", lines[2]])],
        env={**os.environ, "BASE": base, "TOKEN": token(), "NO_PROXY": "*", "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    job, cancelled = (msgspec.json.decode(line) for line in done.stdout.splitlines())
    assert job["kind"] == "place_orders"
    assert job["status"] in {"queued", "running", "succeeded"}
    assert cancelled["status"] == "succeeded"
    assert cancelled["result"]["order_id"] == job["id"]
    assert cancelled["result"]["status"] == "cancelled"
    assert cancelled["result"]["cancelled_lines"] == [0, 1]
