"""Which line got which fingerprint: on disk, because a file may have a billion lines."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

_RECORD = struct.Struct("<IQI8s")
_DROPPED = b"\0" * 8
_READ = 4096


class LineSpool:
    """Written while reading, read once at the end. A record is a run of lines."""

    def __init__(self, *, folder: Path) -> None:
        # Closed by `close`; it has no name, so nothing is left behind by a crash.
        self._file = tempfile.TemporaryFile(dir=folder, prefix="lines-")  # noqa: SIM115

    def add(self, *, file: int, first: int, lines: int, fingerprint: str | None) -> None:
        """Lines `first` to `first + lines - 1` of a file; without a fingerprint they were
        dropped."""
        key = _DROPPED if fingerprint is None else bytes.fromhex(fingerprint)
        self._file.write(_RECORD.pack(file, first, lines, key))

    def records(self) -> Iterator[tuple[int, int, int, str | None]]:
        """(file, first line, lines, fingerprint), in the order in which they were added."""
        self._file.flush()
        self._file.seek(0)
        while block := self._file.read(_RECORD.size * _READ):
            for file, first, lines, key in _RECORD.iter_unpack(block):
                yield file, first, lines, None if key == _DROPPED else key.hex()

    def close(self) -> None:
        self._file.close()
