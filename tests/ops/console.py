"""The ``ordermill`` command as a shell runs it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

ORDERMILL = Path(sys.executable).with_name("ordermill")
SECONDS_MAX = 60
_STEERING = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "HTTP_PORT", "HTTP_HOST", "LANES")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with exactly these settings of ours."""
    return {**{name: value for name, value in os.environ.items() if name not in _STEERING}, **settings}


def ordermill(
    *arguments: str, env: Mapping[str, str], status: int = 0, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a subcommand to its end, ``said`` on its standard input; it must end with ``status``."""
    done = subprocess.run(
        [str(ORDERMILL), *arguments],
        env=dict(env),
        input=said,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == status, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def result_of(*arguments: str, env: Mapping[str, str], status: int = 0, said: str = "") -> Any:
    """Run a subcommand with ``--json``; nothing but its result may be on stdout."""
    lines = ordermill(*arguments, "--json", env=env, status=status, said=said).stdout.splitlines()
    assert len(lines) == 1, lines
    return msgspec.json.decode(lines[0])
