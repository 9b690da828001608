"""What a log line's header says, and what a form of header is."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

from daemon.intake import timestamps


class ParsedLine(NamedTuple):
    """`timestamp` is Unix time, None where the line names no usable one. `unit` is the program,
    `component` the logger, class or facility within it; each may be empty. `priority` is syslog's,
    0 to 7. `form` is the name of the header's form, "" where the line has none."""

    timestamp: float | None
    host: str
    unit: str
    pid: int | None
    priority: int | None
    message: str
    component: str
    form: str


Read = Callable[[re.Match[str], str, float], ParsedLine | None]
"""From the match, the line and the present time; None: it is not of this form after all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """`first` holds the characters that such lines begin with; empty: any."""

    name: str
    first: str
    match: Callable[[str], re.Match[str] | None]
    read: Read


DIGITS = "0123456789"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

_HEAD = 19
_REST = re.compile(r"[.,](\d{1,9})\d*|")


def pid_of(text: str | None) -> int | None:
    return int(text) if text and len(text) < 12 and text.isascii() and text.isdecimal() else None


def program(tag: str) -> str:
    """The program of a syslog tag: no path before it, no "(pam_unix)" after it."""
    if "(" in tag and not tag.startswith("("):
        tag = tag.partition("(")[0]
    if tag.startswith("/"):
        tag = tag.rpartition("/")[2]
    return tag.strip()


@functools.lru_cache(maxsize=512)
def _iso_head(stamp: str) -> float | None:
    return timestamps.iso(stamp)


@functools.lru_cache(maxsize=512)
def _syslog(stamp: str, day: int) -> float | None:
    return timestamps.syslog(stamp, now=day * 86_400.0 + 86_399.0)


def iso_at(stamp: str) -> float | None:
    """ISO time. Lines of one second share the work."""
    head, rest = stamp[:_HEAD], stamp[_HEAD:]
    match = _REST.match(rest)
    fraction = match[1] if match else None
    whole = _iso_head(head + rest[match.end() :] if match else stamp)
    if whole is None or not fraction:
        return whole
    return whole + float(f"0.{fraction}")


def syslog_at(stamp: str, now: float) -> float | None:
    """Syslog's time. Lines of one second share the work."""
    return _syslog(stamp, int(now // 86_400))
