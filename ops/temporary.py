"""A stack for one run, and the processes that serve it: what the demo and the replay stand on.

Invariant: nothing of it is left when the run ends, by SIGTERM and Ctrl-C too: processes go first, then the servers,
then the folder. It listens on a free port of this machine only, so runs beside each other don't meet.
"""

import asyncio
import io
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import FrameType

from infra.migrate import migrate
from ops.processes import CORE_LANES, Fleet, free_port, sandbox_address
from ops.stack import EmbeddedStack, Supervisor
from ops.target import Target

# What this shell happens to set is meant for a deployment, not for a run on a stack of its own.
DEFAULTS = {
    "SENTRY_DSN": "",
    "SIGNING_KEYS_FILE": "",
    "MAIL_URL": "",
    "MAIL_FROM": "",
    "PUBLIC_URL": "",
    "EMAIL_VERIFICATION": "",
    "RESERVATION_SECONDS": "3600",
    "RESERVATION_SECONDS_MAX": "",
    "BACKLOG_MAX": "",
    "RATE_LIMITS": "",
    "TRUSTED_PROXIES": "",
    "RATE_AUTH_PER_MINUTE": "",
    "RATE_REQUESTS_PER_SECOND": "",
    "CARRIER_WEBHOOK_SECRET": "",
    "STRIPE_SECRET_KEY": "",
    "STRIPE_WEBHOOK_SECRET": "",
    "STRIPE_API_BASE": "",
}


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes away. Others may pass through: as root, PostgreSQL runs as a user that owns nothing here."""
    folder = Path(tempfile.mkdtemp(prefix="ordermill-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def temporary_stack() -> Iterator[Target]:
    """PostgreSQL and Valkey in a folder of their own, migrated."""
    with _sigterm_as_exit(), temporary_folder() as folder, EmbeddedStack(folder / "data") as stack:
        # What a first migration reports is no news on a stack that was made for it; a failed one raises.
        with redirect_stderr(io.StringIO()):
            asyncio.run(migrate(stack.urls.database_url))
        yield Target(stack.urls.database_url, stack.urls.redis_url, stack.secret_key, stack.sandbox_webhook_secret)


@contextmanager
def serving(target: Target, env: Mapping[str, str], *, workers: int = 1, lanes: str = CORE_LANES) -> Iterator[str]:
    """Run an api, workers for some lanes and a scheduler on a stack, ``env`` their settings; yields the api's URL.

    Raises StackError.
    """
    with temporary_folder() as folder:
        supervisor = Supervisor()
        try:
            port = free_port()
            settings = {**target.environment(), "SANDBOX_WEBHOOK_URL": sandbox_address(port), **env}
            fleet = Fleet(supervisor, logs=folder / "logs", env=settings)
            # Together: starting is mostly importing, which one core does no faster for being left alone with it.
            with ThreadPoolExecutor() as starters:
                web = starters.submit(fleet.web, port=port)
                others = [starters.submit(fleet.scheduler)]
                others += [
                    starters.submit(fleet.worker, f"worker-{number}", lanes=lanes) for number in range(1, workers + 1)
                ]
            for other in others:
                other.result()
            yield web.result()
        finally:
            supervisor.stop()


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind this program instead of ending it on the spot."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
