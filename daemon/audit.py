"""Checks a ledger that lies in a database or in an exported file, and writes such files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from daemon.ledger import Break, Head, Verifier
from daemon.ledger_lines import MOST_BYTES, LineError, from_line, to_line
from daemon.store import ledger
from daemon.store.pool import Database

_BUFFER = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a walk over the chain found. `head` is what to keep elsewhere."""

    entries: int
    head: Head
    breaks: tuple[Break, ...]

    @property
    def holds(self) -> bool:
        return not self.breaks

    def to_json(self) -> dict[str, Any]:
        return {
            "holds": self.holds,
            "entries": self.entries,
            "head": str(self.head),
            "breaks": [dataclasses.asdict(each) for each in self.breaks],
        }


async def check_store(database: Database, *, expected: Head | None) -> Checked:
    """Walks the whole chain. Raises `StoreUnavailableError`."""
    found = await ledger.verify(database, expected=expected)
    return Checked(entries=found.entries, head=found.head, breaks=found.breaks)


def check_file(path: Path, *, expected: Head | None) -> Checked:
    """Walks an exported file. Raises OSError; a line that is none is a break of the chain."""
    with path.open("rb", buffering=_BUFFER) as file:
        return check_lines(iter(lambda: file.readline(MOST_BYTES), b""), expected=expected)


def check_lines(lines: Iterable[bytes], *, expected: Head | None) -> Checked:
    """Walks the lines of an export."""
    verifier = Verifier(expected=expected)
    entries, strange = 0, None
    for number, line in enumerate(lines, start=1):
        try:
            entry = from_line(line)
        except LineError as error:
            strange = Break(seq=verifier.head.seq + 1, why=f"line {number} is no entry: {error}")
            break  # the rest cannot follow from it
        entries += 1
        verifier.walk(entry)
    breaks = verifier.finish() if strange is None else (*verifier.breaks, strange)
    return Checked(entries=entries, head=verifier.head, breaks=breaks)


async def write_export(database: Database, file: BinaryIO) -> Checked:
    """Writes every entry, one a line, and checks the chain on the way. Raises OSError and
    `StoreUnavailableError`."""
    verifier = Verifier()
    entries = 0
    async for entry in ledger.export(database):
        verifier.walk(entry)
        entries += 1
        file.write(to_line(entry) + b"\n")
    file.flush()
    return Checked(entries=entries, head=verifier.head, breaks=verifier.finish())
