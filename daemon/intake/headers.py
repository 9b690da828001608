"""Raw log lines, taken apart: when, where, which program, how bad it says it is, and the message.

`parse_line` reads a line on its own. `LineFormat` reads the lines of one file: it tries the form
of the line before first, so that a known file costs one regular expression per line, and looks for
another form when that one stops to fit. A line in no known form is all message.

What is the unit: the program's name without its pid, its path and a suffix in brackets, because
"sshd(pam_unix)[19939]" and "sshd[19940]" are one program. Names of loggers and classes are not
units (one service has hundreds): they are in `component`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from daemon.intake.header_forms import FORMS, candidates
from daemon.intake.header_line import Form, ParsedLine

NAMES = tuple(form.name for form in FORMS)
"""The forms by name, for configuration."""

__all__ = ["NAMES", "LineFormat", "ParsedLine", "parse_line"]


def parse_line(line: str, *, now: float | None = None) -> ParsedLine:
    """One line. `now` (Unix time) dates times without a year. Never raises for any text."""
    moment = time.time() if now is None else now
    for form in candidates(line):
        match = form.match(line)
        if match is not None:
            parsed = form.read(match, line, moment)
            if parsed is not None:
                return parsed
    return ParsedLine(None, "", "", None, None, line, "", "")


class LineFormat:
    """The form of one file's lines. `name` fixes it; else it is found and found again."""

    __slots__ = ("_clock", "_fixed", "_form")

    def __init__(self, *, name: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """Raises ValueError for a name that is not in `NAMES`."""
        self._clock = clock
        self._fixed = name is not None
        self._form: Form | None = None
        if name is not None:
            known = {form.name: form for form in FORMS}
            if name not in known:
                raise ValueError(
                    f"no log line form is called {name!r}; there are: {', '.join(NAMES)}"
                )
            self._form = known[name]

    @property
    def name(self) -> str:
        """The form of the latest line that had one; "" before any had."""
        return "" if self._form is None else self._form.name

    def parse(self, line: str) -> ParsedLine:
        """One line. Without a header `form` is "". Never raises for any text."""
        form = self._form
        now = self._clock()
        if form is not None:
            match = form.match(line)
            if match is not None:
                parsed = form.read(match, line, now)
                if parsed is not None:
                    return parsed
        if not self._fixed:
            for other in candidates(line):
                if other is form:
                    continue
                match = other.match(line)
                if match is not None:
                    parsed = other.read(match, line, now)
                    if parsed is not None:
                        self._form = other
                        return parsed
        return ParsedLine(None, "", "", None, None, line, "", "")
