"""What the header of a raw line says, as the sources of files need it."""

from __future__ import annotations

from collections.abc import Callable

from daemon.intake.headers import NAMES, LineFormat
from daemon.sources.assemble import Header, ParseHeader
from daemon.sources.base import SourceError

AUTO = "auto"
"""The name that lets each file's form be found."""


def header_parser(form: str, *, clock: Callable[[], float]) -> ParseHeader:
    """A parser for the lines of one file. Raises `SourceError` for a form that is not known."""
    if form != AUTO and form not in NAMES:
        message = f"no form of log lines is called {form!r}; there are {AUTO}, {', '.join(NAMES)}"
        raise SourceError(message)
    read = LineFormat(name=None if form == AUTO else form, clock=clock).parse

    def parse(line: str) -> Header | None:
        parsed = read(line)
        if not parsed.form:
            return None
        return Header(parsed.timestamp, parsed.unit, parsed.priority, parsed.message)

    return parse
