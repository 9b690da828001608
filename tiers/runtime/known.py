"""What programs said of themselves, kept until the program changes: asking costs a start."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import orjson

from tiers.runtime.capabilities import Capabilities, read_capabilities
from tiers.runtime.errors import MisconfiguredError

_FILE = "known.json"
_MOST = 32
_FORM = 1


class KnownPrograms:
    """`folder` None, or one that cannot be written, keeps nothing: then programs are asked anew."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / _FILE if folder is not None else None

    def capabilities(self, program: Path) -> Capabilities:
        """Raises `MisconfiguredError` as `read_capabilities` does; what is wrong is never kept."""
        try:
            stamp = _stamp(program)
        except OSError as error:
            raise MisconfiguredError(f"{program} cannot be read: {error.strerror}.") from error
        kept = self._read()
        entry = kept.get(str(program))
        if isinstance(entry, dict) and entry.get("stamp") == stamp:
            with contextlib.suppress(KeyError, TypeError):
                return _from(entry)
        found = read_capabilities(program)
        kept.pop(str(program), None)
        kept[str(program)] = {"stamp": stamp, **_as_json(found)}
        self._write(dict(list(kept.items())[-_MOST:]))
        return found

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            document = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        programs = document.get("programs") if isinstance(document, dict) else None
        return programs if isinstance(programs, dict) and document.get("form") == _FORM else {}

    def _write(self, programs: dict[str, Any]) -> None:
        if self._path is None or not self._path.parent.is_dir():
            return
        part = self._path.with_name(f".{_FILE}.{os.getpid()}")
        with contextlib.suppress(OSError):
            part.write_bytes(orjson.dumps({"form": _FORM, "programs": programs}))
            part.replace(self._path)


def _stamp(program: Path) -> list[int]:
    """Changes with the program, and with the libraries beside it, where most of it may be."""
    now = program.stat()
    beside = [library.lstat().st_mtime_ns for library in program.parent.glob("lib*.so*")]
    return [now.st_ino, now.st_size, now.st_mtime_ns, max(beside, default=0)]


def _as_json(found: Capabilities) -> dict[str, Any]:
    return dataclasses.asdict(found) | {"flags": sorted(found.flags)}


def _from(entry: dict[str, Any]) -> Capabilities:
    return Capabilities(
        build=entry["build"],
        version=entry["version"],
        compiler=entry["compiler"],
        flags=frozenset(entry["flags"]),
    )
