"""Turn this process into another program that dies with the one that started it.

Run by path as a script, never imported by the program that spawns. A new interpreter is used instead of
`preexec_fn` because code between fork and exec in a process with threads can deadlock on a lock that
another thread held at the fork. The pid stays the same through exec.

The order below matters: a change of user clears the parent-death signal, so it is set after; and a
parent that died before it was set would never be noticed, so the parent is checked last. Nothing may be
imported after the change of user, who may be unable to read the standard library: the program comes as a
path, because even a search of PATH imports.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# Ignored signals and the signal mask pass through exec. Python ignores two of these itself, and a shell
# starts a background job with SIGINT ignored: the child gets them all as a login shell would give them.
RESET_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)


def main(arguments: list[str]) -> None:
    """`<parent pid> <signal on its death> <uid> <gid> <path> [argument ...]`. Does not return."""
    parent, orphan_signal, uid, gid = (int(argument) for argument in arguments[:4])
    argv = arguments[4:]
    for number in RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(orphan_signal)) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(f"{argv[0]} was not started: the process that asked for it is gone")
    try:
        os.execv(argv[0], argv)  # noqa: S606  # no shell is wanted: this is the child itself
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
