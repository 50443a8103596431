"""Start a program that dies with this process, has a log of bounded size and no share in the terminal.

**Parent-death signal.** On Linux the kernel signals the child when the *thread* that forked it ends, not
the process. Whoever calls `spawn` must therefore do so in a thread that outlives the child: `Supervisor`
gives each child a thread that forks it and then waits for it; `run` waits before it returns. macOS has no
such signal: there children end when they are stopped, and what a killed owner left behind is ended by
the next start (`ops.stack.survivors`).

**Process group.** Each child leads a group of its own. Ctrl-C in the terminal thus reaches only the
supervisor, which stops children in order; and a child that has to be killed is killed with its offspring.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

from ops.stack.errors import StackError
from ops.stack.folders import ServerUser

EXEC_CHILD = Path(__file__).with_name("exec_child.py")
LOG_BYTES_MAX = 8 * 1024 * 1024
LOG_TAIL_BYTES_MAX = 16 * 1024
LOG_TAIL_LINES = 20
STDERR = 2  # the descriptor, because sys.stderr may have been replaced by something without one


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    log: Path | None = None,
    user: ServerUser | None = None,
    orphan_signal: Signals = SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `argv` as a child that gets `orphan_signal` when the calling thread ends (Linux).

    Output is appended to `log`, or goes to this process's stderr. Raises StackError when there is no such
    program; one that `user` may not run shows as a child that ends with status 1 and says so.
    """
    program = shutil.which(argv[0], path=env.get("PATH"))
    if program is None:
        raise StackError(f"there is no program {argv[0]} to run")
    uid = os.geteuid() if user is None else user.uid
    gid = os.getegid() if user is None else user.gid
    # -I and -S: nothing of the environment or of site-packages runs in between, and it starts sooner.
    command = [sys.executable, "-I", "-S", str(EXEC_CHILD)]
    command += [str(os.getpid()), str(int(orphan_signal)), str(uid), str(gid), program, *argv[1:]]
    output = STDERR if log is None else _open_log(log)
    try:
        return subprocess.Popen(  # noqa: S603  # the command is put together from this installation's own paths
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    finally:
        if log is not None:
            os.close(output)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    user: ServerUser | None,
    seconds_max: float,
) -> None:
    """Run `argv` to its end; raise StackError with the tail of its output when it fails or takes too long."""
    log_start = log_size(log)
    process = spawn(argv, env=env, cwd=cwd, log=log, user=user, orphan_signal=SIGKILL)
    program = Path(argv[0]).name
    try:
        status = process.wait(seconds_max)
    except subprocess.TimeoutExpired:
        raise StackError(f"{program} took over {seconds_max:g} s:\n{log_tail(log, log_start)}") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, SIGKILL)
            process.wait()
    if status != 0:
        raise StackError(f"{program} failed with status {status}:\n{log_tail(log, log_start)}")


def log_size(log: Path) -> int:
    """Bytes in the log now; what a child writes from here on begins there."""
    return log.stat().st_size if log.exists() else 0


def log_tail(log: Path, since: int) -> str:
    """The last lines written to the log after its first `since` bytes."""
    size = log_size(log)
    if size < since:  # it was rotated in between
        since = 0
    with log.open("rb") as file:
        file.seek(max(since, size - LOG_TAIL_BYTES_MAX))
        lines = file.read(LOG_TAIL_BYTES_MAX).decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:]) or f"(nothing in {log})"


def _open_log(log: Path) -> int:
    # Rotated only between two processes: one that runs keeps writing to the file it was given.
    if log_size(log) > LOG_BYTES_MAX:
        log.replace(log.with_name(f"{log.name}.1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
