"""Which lines belong to the one before: traces of Python, Java, Go, Rust, and indented lines.

Pure over its input. Conservative on purpose: a line that was joined by mistake is hidden inside
another event, a line that was not joined is only one pattern more.
"""

from __future__ import annotations

import enum
import re

_JAVA = re.compile(r"Caused by: |\.\.\. \d+ (?:more|common frames omitted)|Suppressed: ")
_JAVA_HEAD = re.compile(r"(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b")
_PYTHON_START = "Traceback (most recent call last):"
_PYTHON_CHAIN = re.compile(
    r"During handling of the above exception, another exception occurred:"
    r"|The above exception was the direct cause of the following exception:"
    r"|Traceback \(most recent call last\):"
)
_PYTHON_END = re.compile(r"[A-Za-z_][\w.]*(?::|$)")
_GO_START = re.compile(r"panic: |fatal error: |goroutine \d+ \[")
_GO_LINE = re.compile(
    r"goroutine \d+ |created by |exit status \d|panic: |\[signal |\[recovered\]"
    r"|[\w./*()\[\]{}-]+\(.*\)$"
)
_RUST = re.compile(
    r"stack backtrace:|note: run with `RUST_BACKTRACE|note: Some details are omitted"
)
_MAY_CONTINUE = re.compile(
    r"traceback|exception|panic|error|throwable|fatal|caused by", re.IGNORECASE
)

HINTS = frozenset(" \tC.Sns")
"""First characters that a continuation can have when no trace was begun; all other lines need not
be asked about, except a line without a header after one that has it."""


class _Mode(enum.Enum):
    PLAIN = enum.auto()
    PYTHON_BODY = enum.auto()  # after "Traceback": frames, then one line that names the exception
    PYTHON_END = enum.auto()  # after that line: a chained trace may follow
    GO = enum.auto()


class Trace:
    """Follows one stream of lines. `begin` for the first line of an event, then `continues`."""

    __slots__ = ("_headed", "_mode")

    def __init__(self) -> None:
        self._mode = _Mode.PLAIN
        self._headed = False

    @property
    def inside(self) -> bool:
        """In the middle of a trace: every further line has to be asked about."""
        return self._mode is not _Mode.PLAIN

    def begin(self, message: str, *, headed: bool) -> None:
        """A new event starts. `headed`: the line had a header (time, host, program)."""
        self._headed = headed
        if _PYTHON_START in message:
            self._mode = _Mode.PYTHON_BODY
        elif _GO_START.match(message):
            self._mode = _Mode.GO
        else:
            self._mode = _Mode.PLAIN

    def continues(self, message: str, *, headed: bool) -> bool:
        """Whether the line belongs to the event that began last."""
        if message[:1] in (" ", "\t"):
            if _PYTHON_START in message:
                self._mode = _Mode.PYTHON_BODY
            return True
        if self._mode is not _Mode.PLAIN and self._in_trace(message, headed=headed):
            return True
        if _JAVA.match(message) or _RUST.match(message):
            return True
        if headed or not self._headed:
            return False
        # A line without a header right after one that has it, and that starts a trace.
        if message.startswith(_PYTHON_START):
            self._mode = _Mode.PYTHON_BODY
            return True
        if _GO_START.match(message):
            self._mode = _Mode.GO
            return True
        return _JAVA_HEAD.match(message) is not None

    def _in_trace(self, message: str, *, headed: bool) -> bool:
        if self._mode is _Mode.GO:
            return not message or _GO_LINE.match(message) is not None
        if not message:
            return True
        if _PYTHON_CHAIN.match(message):
            if message.startswith(_PYTHON_START):
                self._mode = _Mode.PYTHON_BODY
            return True
        if self._mode is _Mode.PYTHON_BODY:
            if headed and not _PYTHON_END.match(message):
                return False
            self._mode = _Mode.PYTHON_END
            return True
        return False


def may_continue(message: str) -> bool:
    """Whether it is worth waiting a moment for further lines of this event."""
    return _MAY_CONTINUE.search(message) is not None
