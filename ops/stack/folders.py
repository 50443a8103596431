"""Where the stack keeps its files, and who may enter.

Only folders made here get their modes set here; the mode of a parent folder is never changed. PostgreSQL
refuses to run as root, so as root the servers run as `nobody`, who must be able to walk down to their
folders: a path that shuts them out is refused with the name of the folder that does.
"""

import base64
import hashlib
import os
import pwd
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import platformdirs

from ops.stack.errors import StackError

ROOT_DATA = Path("/var/lib/ordermill")
POSTGRES_PORT = 5432  # names the socket; nothing listens on TCP
# sun_path holds 104 bytes on macOS and 108 on Linux, the closing NUL included.
SOCKET_PATH_BYTES_MAX = 103
SECRET_KEY_BYTES = 32


class ServerUser(msgspec.Struct, frozen=True):
    """The account that servers run as when the stack itself runs as root."""

    name: str
    uid: int
    gid: int


def server_user() -> ServerUser | None:
    """`nobody` when this process is root, else None: the servers then run as the caller."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def default_data() -> Path:
    """`/var/lib/ordermill` for root, because no other user reaches into root's home; else the user's own."""
    return ROOT_DATA if os.geteuid() == 0 else platformdirs.user_data_path("ordermill")


def make_data_folder(data: Path) -> None:
    """Make the data folder unless it is there. Root's may be passed through by all, read by none."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        data.mkdir(mode=mode, parents=True)
        data.chmod(mode)  # a strict umask takes away the bit that lets `nobody` through
    except FileExistsError:
        if not data.is_dir():
            raise StackError(f"the data folder {data} is not a folder") from None
    except OSError as error:
        raise StackError(f"the data folder {data} cannot be made: {error.strerror}") from error


def require_reachable(folder: Path, user: ServerUser | None) -> None:
    """Raise StackError when `user` may not enter `folder` or one of its parents."""
    if user is None:
        return
    for part in reversed([folder, *folder.parents]):
        status = part.stat()
        if status.st_uid == user.uid:
            may_enter = status.st_mode & stat.S_IXUSR
        elif status.st_gid == user.gid:
            may_enter = status.st_mode & stat.S_IXGRP
        else:
            may_enter = status.st_mode & stat.S_IXOTH
        if not may_enter:
            raise StackError(
                f"{folder} cannot be used: as root the servers run as {user.name}, who may not enter {part};"
                f" choose a folder such as {ROOT_DATA}"
            )


def make_private_folder(folder: Path, user: ServerUser | None) -> None:
    """Make `folder` with mode 0700 for the servers' user, or take over the one an earlier run made."""
    owner = os.geteuid() if user is None else user.uid
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()  # not stat: in a shared temp folder anyone can put a link under a name he guesses
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {owner, os.geteuid()}:
        raise StackError(f"{folder} belongs to user id {status.st_uid}, not {owner}: start as that user or remove it")
    if user is not None:
        os.chown(folder, user.uid, user.gid, follow_symlinks=False)
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)


def socket_folder(data: Path) -> Path:
    """`<data>/run`, or a folder under the temp dir when a socket address cannot hold that path."""
    run = data / "run"
    if _holds_sockets(run):
        return run
    name = f"ordermill-{os.geteuid()}-{folder_digest(data)}"
    run = Path(tempfile.gettempdir()).resolve() / name
    if not _holds_sockets(run):
        raise StackError(f"{run} is too long for a unix socket: set TMPDIR to a shorter folder")
    return run


def folder_digest(folder: Path) -> str:
    """Sixteen hex digits that stand for a folder's path."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _holds_sockets(run: Path) -> bool:
    # libpq and PostgreSQL read a list of folders where a path has a comma, and quotes around each.
    socket = os.fsencode(run / f".s.PGSQL.{POSTGRES_PORT}")
    return len(socket) <= SOCKET_PATH_BYTES_MAX and not {b",", b'"'} & {bytes((byte,)) for byte in socket}


def secret_key(data: Path) -> str:
    """The key this installation signs with, kept in `<data>/secret_key`."""
    return _kept(data, "secret_key", lambda random: base64.urlsafe_b64encode(random).decode("ascii"))


def sandbox_webhook_secret(data: Path) -> str:
    """What the sandbox of payments signs its webhooks with, kept in `<data>/sandbox_webhook_secret`."""
    return _kept(data, "sandbox_webhook_secret", lambda random: f"whsec_{base64.b64encode(random).decode('ascii')}")


def _kept(data: Path, name: str, write: Callable[[bytes], str]) -> str:
    """A secret of this installation: made once, kept in a file of mode 0600.

    The caller holds the data folder's lock, so two first starts cannot make two.
    """
    path = data / name
    if path.exists():
        return path.read_text("ascii")
    key = write(secrets.token_bytes(SECRET_KEY_BYTES))
    unfinished = data / f"{name}.new"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return key
