"""From lines to events: headers parsed, traces joined, every line accounted for.

Pure over its input. Each line that is fed becomes (part of) exactly one event or one empty line:
`lines = sum(spans) + len(empty)` once nothing is pending.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from daemon.events import Event
from daemon.sources.lines import Lines
from daemon.sources.multiline import HINTS, Trace, may_continue
from tiers.vocabulary import Provenance, SourceKind


class Header(NamedTuple):
    """What a line's header says. `at` is Unix time, None where it names no usable time."""

    at: float | None
    unit: str
    priority: int | None
    message: str


ParseHeader = Callable[[str], Header | None]
"""None: the line has no header of the file's form."""


@dataclasses.dataclass(slots=True)
class Assembled:
    """Finished events; event i began on line `firsts[i]` (from 1) and holds `spans[i]` lines.

    `cut` counts events that lost their tail to the line limit.
    """

    events: list[Event]
    firsts: list[int]
    spans: list[int]
    empty: list[int]
    cut: int = 0


class Assembler:
    """Turns the lines of one file into events. Holds back at most one event."""

    def __init__(
        self,
        *,
        source: str,
        file: str,
        unit: str,
        parse: ParseHeader,
        join: bool,
        max_lines: int,
        max_characters: int,
    ) -> None:
        self._source = source
        self._unit = unit
        self._parse = parse
        self._join = join
        self._max_lines = max_lines
        self._max_characters = max_characters
        self._trace = Trace()
        self._shared = {"file": file}  # one mapping for all plain events of the file
        self._number = 0
        # The event that is held back: its header, its lines, and what happened to them.
        self._header: Header | None = None
        self._headed = False
        self._parts: list[str] = []
        self._characters = 0
        self._span = 0
        self._first = 0
        self._lost = 0
        self._invalid = 0

    @property
    def pending_lines(self) -> int:
        """Lines of the event that is held back."""
        return self._span

    @property
    def may_continue(self) -> bool:
        """Whether what is held back is, or may become, a trace: worth waiting for more."""
        return self._span > 1 or self._trace.inside or any(map(may_continue, self._parts))

    def feed(self, lines: Lines, *, now: float) -> Assembled:
        """The events that are finished now. `now` dates lines that name no time."""
        out = Assembled([], [], [], [])
        join, trace, parse = self._join, self._trace, self._parse
        cut, invalid = lines.cut, lines.invalid
        odd = bool(cut or invalid)
        number = self._number
        headed = self._headed
        for index, line in enumerate(lines.texts):
            number += 1
            if not line or line.isspace():
                if join and trace.inside and self._span and trace.continues("", headed=False):
                    self._join_line("")
                else:
                    if self._span:  # what is held back is always the last lines, without a gap
                        self._emit(out, now)
                    out.empty.append(number)
                continue
            header = None if line[0] in " \t" else parse(line)
            if (
                join
                and self._span
                and (
                    line[0] in HINTS
                    or trace.inside
                    or (headed and header is None)
                    or (header is not None and header.message[:1] in _BLANK)
                )
                and self._joins(line, header)
            ):
                dated = header is not None and header.at is not None
                self._join_line(header.message if header is not None and dated else line)
            else:
                if self._span:
                    self._emit(out, now)
                headed = header is not None
                if header is None:
                    header = Header(None, "", None, line)
                elif not header.message or header.message.isspace():
                    header = header._replace(message=line)  # a header is all there is
                self._header = header
                self._headed = headed
                self._parts.append(header.message)
                self._characters = len(header.message)
                self._span = 1
                self._first = number
                if join:
                    trace.begin(line if header.at is None else header.message, headed=headed)
            if odd:
                self._lost += cut.get(index, 0)
                self._invalid += index in invalid
        self._number = number
        return out

    def flush(self, *, now: float) -> Assembled:
        """What was held back, as an event."""
        out = Assembled([], [], [], [])
        if self._span:
            self._emit(out, now)
        return out

    def discard(self) -> None:
        """Forgets what was held back: it is read again from elsewhere."""
        self._forget()

    def _joins(self, line: str, header: Header | None) -> bool:
        if self._span >= self._max_lines:
            return False
        # A header without a time may be none: "ValueError: x", "panic: x".
        if header is None or header.at is None:
            return self._trace.continues(line, headed=False)
        # Several programs write into one file: a trace goes on only in its own program's lines.
        if self._header is None or header.unit != self._header.unit:
            return False
        return self._trace.continues(header.message, headed=True)

    def _join_line(self, message: str) -> None:
        self._span += 1
        room = self._max_characters - self._characters
        if room > 0:
            kept = message[:room]
            self._parts.append(kept)
            self._characters += len(kept) + 1
        else:
            self._lost += len(message.encode(errors="replace"))

    def _emit(self, out: Assembled, now: float) -> None:
        header = self._header
        assert header is not None  # noqa: S101 -- a span of 1 or more always has its header
        span = self._span
        attributes = self._shared
        if span > 1 or self._lost or self._invalid:
            attributes = dict(attributes)
            if span > 1:
                attributes["lines"] = str(span)
            if self._lost:
                attributes["cut_bytes"] = str(self._lost)
                out.cut += 1
            if self._invalid:
                attributes["invalid_utf8"] = str(self._invalid)
        parts = self._parts
        out.events.append(
            Event(
                parts[0] if span == 1 else "\n".join(parts).rstrip("\n"),
                header.unit or self._unit,
                SourceKind.FILE,
                self._source,
                Provenance.TEXT,
                now if header.at is None else header.at,
                header.priority,
                None,
                attributes,
            )
        )
        out.firsts.append(self._first)
        out.spans.append(span)
        self._forget()

    def _forget(self) -> None:
        self._header = None
        self._parts = []
        self._characters = 0
        self._span = 0
        self._lost = 0
        self._invalid = 0


_BLANK = frozenset((" ", "\t"))
