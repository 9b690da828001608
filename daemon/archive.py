"""All state in one file, and back: a tar of the database, the keys and what they belong to.

Not in it: model files (they can be pulled again), logs, and the memory, which is rebuilt from the
database.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import os
import shutil
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.store.backup import backup, restore
from daemon.store.errors import StoreSetupError
from daemon.store.open import Store

FORMAT = 1
_MANIFEST = "manifest.json"
_DATABASE = "database.dump"
_KEYS = "keys.toml"
_MOST_SMALL = 16 * 1024 * 1024
"""Bytes of a manifest or a key file; anything larger is none of ours."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What a file says of itself. `bytes` is its size."""

    version: str
    host: str
    created: datetime
    postgres: str
    keys: bool
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"created": self.created.isoformat()}


async def save(store: Store, *, keys: Path, target: Path, version: str, host: str) -> Archive:
    """Writes `target`, whole or not at all, readable by its owner alone; the daemon may work on
    meanwhile. Raises `StoreSetupError`."""
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        await backup(store, target=work / _DATABASE)
        manifest = {
            "format": FORMAT,
            "version": version,
            "host": host,
            "created": datetime.now(tz=UTC).isoformat(),
            "postgres": store.postgres_version,
        }
        return await asyncio.to_thread(_pack, work, manifest, keys, target)
    except OSError as error:
        msg = f"cannot write the backup {target} ({error.strerror}); choose another place"
        raise StoreSetupError(msg) from error
    finally:
        if work is not None:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


async def load(store: Store, *, source: Path, keys: Path, memory: Path) -> Archive:
    """Replaces the state by what `source` holds. No daemon may use it meanwhile. The database
    comes back whole or not at all, then the keys; the memory is rebuilt by the next start.
    Raises `StoreSetupError`."""
    work: Path | None = None
    try:
        # Beside the keys: on the same file system as the state, and not in a small /tmp.
        work = Path(tempfile.mkdtemp(prefix=".restore.", dir=keys.parent))
        found = await asyncio.to_thread(_unpack, source, work)
        await restore(store, source=work / _DATABASE)
        if found.keys:
            (work / _KEYS).replace(keys)
        await asyncio.to_thread(shutil.rmtree, memory, ignore_errors=True)
        return found
    except OSError as error:
        msg = f"cannot restore {source}: {error.filename or ''} {error.strerror}"
        raise StoreSetupError(msg) from error
    finally:
        if work is not None:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


def _pack(work: Path, manifest: dict[str, Any], keys: Path, target: Path) -> Archive:
    unfinished = work / "archive"
    with (
        open(unfinished, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file,
        tarfile.open(fileobj=file, mode="w") as tar,
    ):
        _add(tar, _MANIFEST, json.dumps(manifest, indent=2).encode())
        tar.add(work / _DATABASE, arcname=_DATABASE, filter=_nobody)
        if keys.is_file():
            _add(tar, _KEYS, keys.read_bytes())
        file.flush()
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())
    unfinished.rename(target)
    return _archive(manifest, keys=keys.is_file(), size=target.stat().st_size)


def _unpack(source: Path, work: Path) -> Archive:
    """Puts the known members, and no others, into `work`."""
    try:
        with tarfile.open(source, "r:") as tar:
            manifest = json.loads(_small(tar, _MANIFEST))
            if manifest["format"] != FORMAT:
                msg = (
                    f"{source} has format {manifest['format']} and this triaged reads {FORMAT}: "
                    "restore it with the release that wrote it"
                )
                raise StoreSetupError(msg)
            member = tar.extractfile(_DATABASE)
            if member is None:
                raise KeyError(_DATABASE)
            with member, (work / _DATABASE).open("xb") as goal:
                shutil.copyfileobj(member, goal)
            keys = _KEYS in tar.getnames()
            if keys:
                path = work / _KEYS
                path.touch(mode=0o600)
                path.write_bytes(_small(tar, _KEYS))
            return _archive(manifest, keys=keys, size=source.stat().st_size)
    except FileNotFoundError as error:
        msg = f"there is no backup {source}"
        raise StoreSetupError(msg) from error
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        msg = f"{source} is no whole backup of triaged ({error!r}); nothing was changed"
        raise StoreSetupError(msg) from error


def _small(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    with member:
        data = member.read(_MOST_SMALL + 1)
    if len(data) > _MOST_SMALL:
        raise ValueError(f"{name} is too large")
    return data


def _archive(manifest: dict[str, Any], *, keys: bool, size: int) -> Archive:
    return Archive(
        version=str(manifest["version"]),
        host=str(manifest["host"]),
        created=datetime.fromisoformat(manifest["created"]),
        postgres=str(manifest["postgres"]),
        keys=keys,
        bytes=size,
    )


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
