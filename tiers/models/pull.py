"""From the hub to this machine, safely: resumed, checked, and put in place as a whole.

<folder>/.partial/<sha256 or revision>-<name>      what is on its way; goes on after a kill
<folder>/.rejected/<name>.<sha256, 12 digits>      what came and was not what was promised
<folder>/<owner>/<repository>/<name>               a whole file, checked
<folder>/<owner>/<repository>/<name>.json          where it came from
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from tiers.models.catalogue import Model
from tiers.models.errors import HubError, MismatchError, ModelError, NoSpaceError
from tiers.models.folder import Installed, Origin, installed_at, place_of, write_origin
from tiers.models.hub import Hub, RemoteFile

_RESERVE = 512 * 2**20
"""Left free in any case: the daemon's own state is often on the same disk."""


class Progress(Protocol):
    """Hears of one file at a time. Called from the thread that pulls."""

    def begins(self, file: RemoteFile, *, done: int) -> None: ...

    def moved(self, count: int) -> None:
        """So many more bytes; negative where they have to be fetched again."""
        ...

    def checks(self, file: RemoteFile) -> None: ...


def pull(model: Model, *, hub: Hub, folder: Path, progress: Progress) -> tuple[Installed, ...]:
    """The model's file, or all parts of a split one, checked and in place.

    What is here already and matches is left alone. Blocks for as long as it takes; can be killed
    at any time and called again. Raises `ModelError`.
    """
    files = hub.find(repository=model.repository, wanted=model.file)
    files = tuple(_summed(model, file, files) for file in files)
    missing = [file for file in files if not _is_here(file, folder)]
    _room_for(missing, folder)
    for file in missing:
        _one(file, hub=hub, folder=folder, progress=progress)
    return tuple(installed_at(place_of(folder, file.repository, file.name)) for file in files)


def _summed(model: Model, file: RemoteFile, files: tuple[RemoteFile, ...]) -> RemoteFile:
    """The file with the sum that it must have. A listing that contradicts the catalogue is not
    believed; the catalogue's sum is of a file in one piece."""
    known = model.sha256 if len(files) == 1 else None
    if known and file.sha256 and known != file.sha256:
        raise MismatchError(
            f"{file.repository} now offers another {file.name} than the catalogue knows "
            f"(sha256 {file.sha256[:12]}..., not {known[:12]}...). If the repository "
            "changed it on purpose, put the new sum into a catalogue of your own"
        )
    if not (known or file.sha256):
        raise HubError(
            f"nobody says the sha256 of {file.name}: neither the listing of {file.repository} nor "
            "the catalogue; put it into a catalogue of your own"
        )
    return dataclasses.replace(file, sha256=file.sha256 or known)


def _is_here(file: RemoteFile, folder: Path) -> bool:
    path = place_of(folder, file.repository, file.name)
    if not path.is_file():
        return False
    origin = installed_at(path).origin
    return origin is not None and origin.sha256 == file.sha256 and path.stat().st_size == file.size


def _room_for(files: list[RemoteFile], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = sum(_size(_partial(folder, file)) for file in files)
    need = sum(file.size for file in files) - partial
    free = shutil.disk_usage(folder).free
    if need + _RESERVE > free:
        raise NoSpaceError(
            f"{need / 1e9:.1f} GB are to come and {free / 1e9:.1f} GB are free in {folder} "
            f"({_RESERVE / 1e9:.1f} GB stay free): make room ('triaged models remove'), or set "
            "models.folder to a larger disk"
        )


def _one(file: RemoteFile, *, hub: Hub, folder: Path, progress: Progress) -> None:
    partial = _partial(folder, file)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with _alone(partial), partial.open("r+b" if partial.exists() else "w+b") as to:
        done = to.seek(0, os.SEEK_END)
        if done > file.size:  # never ours to this length
            to.truncate(0)
            done = to.seek(0)
        progress.begins(file, done=done)
        try:
            hub.fetch(file, to, done=done, on_bytes=progress.moved)
        except OSError as error:
            _explain(error, file, to, partial)
        to.flush()
        os.fsync(to.fileno())
        progress.checks(file)
        to.seek(0)
        found = hashlib.file_digest(to, "sha256").hexdigest()
        if found != file.sha256:
            kept = _reject(folder, partial, file, found)
            raise MismatchError(
                f"{file.name} is not what {file.repository} promises: its sha256 is "
                f"{found[:12]}..., not {(file.sha256 or '')[:12]}.... It was kept as {kept} and is "
                "never used; pull again, or pull from another mirror"
            )
        place = place_of(folder, file.repository, file.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_origin(
            place,
            Origin(
                repository=file.repository,
                revision=file.revision,
                sha256=found,
                size=file.size,
                licence=file.licence,
                pulled_at=datetime.now(tz=UTC),
            ),
        )
        partial.replace(place)
        _sync_folder(place.parent)


def _explain(error: OSError, file: RemoteFile, to: BinaryIO, partial: Path) -> None:
    """Raises a sentence for what went wrong on the way."""
    length = to.seek(0, os.SEEK_END)
    if error.errno is not None:
        raise NoSpaceError(
            f"{partial} cannot be written: {error.strerror}. What came so far is kept"
        ) from error
    # The library's check of the length: the hub sent more or less than it had promised.
    if length > file.size:
        to.truncate(0)
    raise HubError(
        f"{file.repository} sent {length} bytes of {file.name} and had promised {file.size}; "
        "pull again, or pull from another mirror"
    ) from error


def _partial(folder: Path, file: RemoteFile) -> Path:
    """Named after the content, so that a newer file is never added to an older one's beginning."""
    name = re.sub(r"[^\w.-]", "_", file.name.split("/")[-1])
    return folder / ".partial" / f"{(file.sha256 or file.revision)[:16]}-{name}"


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Two who fetch the same file would write into each other."""
    # Never removed: who waits at a removed file and who makes it anew would both go on.
    lock_file = partial.parent.with_name(".locks") / partial.name
    lock_file.parent.mkdir(exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelError(
                f"somebody else fetches {partial.name} already; wait for it"
            ) from error
        yield


def _reject(folder: Path, partial: Path, file: RemoteFile, found: str) -> Path:
    name = file.name.split("/")[-1]
    kept = folder / ".rejected" / f"{name}.{found[:12]}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(kept)
    return kept


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
