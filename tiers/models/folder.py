"""The model files that are here, and where each came from."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import orjson

from tiers.models.errors import ModelError

_CHUNK = 4 * 2**20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a file came from, and what it was then. `size` in bytes."""

    repository: str
    revision: str
    sha256: str
    size: int
    licence: str | None
    pulled_at: datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A model file on this machine. `origin` None: somebody put it there by hand."""

    path: Path
    size: int
    origin: Origin | None


def place_of(folder: Path, repository: str, name: str) -> Path:
    """Where a file of a repository belongs. Raises `ModelError` for names that lead elsewhere."""
    parts = [*repository.split("/"), *name.split("/")]
    if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts):
        raise ModelError(f"{repository}/{name} is no name for a file")
    return folder.joinpath(*parts)


def installed_at(path: Path) -> Installed:
    """The file at a path. Raises `ModelError` when there is none."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"there is no model file {path}: {error.strerror}") from error
    return Installed(path=path, size=size, origin=_origin(path))


def installed_in(folder: Path) -> Iterator[Installed]:
    """Every GGUF file below the folder, by name; what is on its way is left out."""
    for path in sorted(folder.rglob("*.gguf")):
        inside = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in inside):
            yield installed_at(path)


def write_origin(path: Path, origin: Origin) -> None:
    """Beside the file, whole or not at all."""
    target = _beside(path)
    draft = target.with_name(target.name + ".new")
    draft.write_bytes(orjson.dumps(origin, option=orjson.OPT_INDENT_2))
    draft.replace(target)


def verified(found: Installed, *, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """What is wrong with a file, "" when it is what was pulled. Reads all of it."""
    if found.origin is None:
        return "nobody knows what it should be: it was not pulled"
    if found.size != found.origin.size:
        return f"it has {found.size} bytes and was pulled with {found.origin.size}"
    digest = hashlib.sha256()
    try:
        with found.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                on_bytes(len(chunk))
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if digest.hexdigest() != found.origin.sha256:
        return "its sha256 is not that of the file that was pulled; pull it again"
    return ""


def remove(found: Installed, *, folder: Path) -> None:
    """Deletes a file, its origin, and folders that become empty. Raises `ModelError`."""
    try:
        found.path.unlink()
        _beside(found.path).unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{found.path} cannot be removed: {error.strerror}") from error
    for parent in found.path.parents:
        if parent == folder or folder not in parent.parents or any(parent.iterdir()):
            break
        parent.rmdir()


def low_disk(folder: Path) -> str:
    """A sentence when less than a tenth of the folder's disk is free, else ""."""
    at = folder
    while not at.exists() and at != at.parent:
        at = at.parent
    space = shutil.disk_usage(at)
    if space.free * 10 >= space.total:
        return ""
    return (
        f"only {space.free / 1e9:.1f} GB of {space.total / 1e9:.1f} GB are free on the disk of "
        f"{folder}"
    )


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _origin(path: Path) -> Origin | None:
    try:
        raw = orjson.loads(_beside(path).read_bytes())
        return Origin(
            repository=str(raw["repository"]),
            revision=str(raw["revision"]),
            sha256=str(raw["sha256"]),
            size=int(raw["size"]),
            licence=str(raw["licence"]) if raw.get("licence") else None,
            pulled_at=datetime.fromisoformat(raw["pulled_at"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
