"""Files of any size to batches of events, line by line accounted for."""

from __future__ import annotations

import dataclasses
import gzip
import io
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from daemon.events import Batch, Event, Loss
from daemon.intake.headers import LineFormat
from daemon.sources.assemble import Assembled, Assembler, Header
from daemon.sources.lines import LineSplitter

_CHUNK = 1 << 18
_SNIFF = 1 << 16
_BINARY_SHARE = 0.1
_LINE_LIMIT = 16_384
_MAX_JOINED = 200
_MAX_JOINED_CHARACTERS = 32_768
_EVENTS = 1_000
"""Events in a batch: intake folds that many in one go, so groups and batches match."""

EMPTY = "empty"


class _Readable(Protocol):
    """What was opened: a file, or what is packed in it."""

    def read1(self, size: int, /) -> bytes: ...


class FileUnusableError(Exception):
    """A file cannot be scanned. The sentence names it and says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """Where an event stands: its first line (from 1) and how many lines it has."""

    first: int
    lines: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A batch and where its events stand in the file. `empty` are numbers of blank lines;
    `position` is how many bytes of the file on disk were read."""

    file: int
    batch: Batch
    spans: tuple[Span, ...]
    empty: tuple[int, ...]
    position: int


def read_pieces(
    path: Path, *, file: int, clock: Callable[[], float] = time.time
) -> Iterator[Piece]:
    """The pieces of one file, plain or gzip. Raises `FileUnusableError`."""
    try:
        # Looked at without moving on: what is read may be a pipe.
        with io.BufferedReader(path.open("rb", buffering=0), _SNIFF) as raw:
            head = raw.peek(_SNIFF)
            if head[:2] == b"\x1f\x8b":
                with gzip.open(raw, "rb") as unpacked:
                    _refuse_binary(path, _start(unpacked))
                    yield from _pieces(unpacked, raw, path, file, clock)
                return
            _refuse_binary(path, head)
            yield from _pieces(raw, raw, path, file, clock)
    except IsADirectoryError as error:
        raise FileUnusableError(f"{path} is a folder; name its files") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileUnusableError(f"{path} cannot be read: {reason}") from error


def _start(unpacked: gzip.GzipFile) -> bytes:
    """Nothing where the archive is broken: reading on says why."""
    try:
        return unpacked.peek(_SNIFF)
    except (OSError, EOFError, zlib.error):
        return b""


def _refuse_binary(path: Path, head: bytes) -> None:
    odd = sum(1 for byte in head if byte < 9 or 13 < byte < 27)
    if head and odd / len(head) > _BINARY_SHARE:
        raise FileUnusableError(f"{path} is not a text file: it was left out")


def _pieces(
    stream: _Readable,
    raw: BinaryIO,
    path: Path,
    file: int,
    clock: Callable[[], float],
) -> Iterator[Piece]:
    source = f"scan:{file}"
    form = LineFormat(clock=clock)
    splitter = LineSplitter(limit=_LINE_LIMIT)
    assembler = Assembler(
        source=source,
        file=str(path),
        unit=path.name.split(".")[0],
        parse=lambda line: _header(form, line),
        join=True,
        max_lines=_MAX_JOINED,
        max_characters=_MAX_JOINED_CHARACTERS,
    )
    building = _Building(source=source, file=file)
    broken: Exception | None = None
    while broken is None:
        try:
            data = stream.read1(_CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            broken = error  # what was read until here counts
            break
        if not data:
            break
        building.take(assembler.feed(splitter.feed(data), now=clock()))
        yield from building.full(position=_position(raw))
    building.take(assembler.feed(splitter.finish(), now=clock()))
    building.take(assembler.flush(now=clock()))
    yield from building.full(position=_position(raw))
    yield from building.rest(position=_position(raw))
    if broken is not None:
        raise broken


def _position(raw: BinaryIO) -> int:
    """Bytes read of a file; 0 of a pipe, which has no positions."""
    return raw.tell() if raw.seekable() else 0


def _header(form: LineFormat, line: str) -> Header | None:
    parsed = form.parse(line)
    if not parsed.form:
        return None
    return Header(parsed.timestamp, parsed.unit, parsed.priority, parsed.message)


class _Building:
    """Collects events until a batch is full."""

    def __init__(self, *, source: str, file: int) -> None:
        self._source = source
        self._file = file
        self._events: list[Event] = []
        self._spans: list[Span] = []
        self._empty: list[int] = []

    def take(self, done: Assembled) -> None:
        self._events += done.events
        self._spans += [
            Span(first, lines) for first, lines in zip(done.firsts, done.spans, strict=True)
        ]
        self._empty += done.empty

    def full(self, *, position: int) -> Iterator[Piece]:
        # One more than a batch holds: the next event's line says which blank lines come before.
        while len(self._events) > _EVENTS:
            yield self._piece(_EVENTS, position)

    def rest(self, *, position: int) -> Iterator[Piece]:
        if self._events or self._empty:
            yield self._piece(len(self._events), position)

    def _piece(self, count: int, position: int) -> Piece:
        events, spans = self._events[:count], self._spans[:count]
        del self._events[:count], self._spans[:count]
        end = self._spans[0].first if self._spans else None
        empty = tuple(line for line in self._empty if end is None or line < end)
        self._empty = self._empty[len(empty) :]
        losses = (Loss(reason=EMPTY, count=len(empty)),) if empty else ()
        return Piece(
            file=self._file,
            batch=Batch(source=self._source, events=tuple(events), cursor=None, losses=losses),
            spans=tuple(spans),
            empty=empty,
            position=position,
        )
