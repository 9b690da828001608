"""Lines that are data: JSON objects, key=value pairs, containers' envelopes around other lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from daemon.intake import timestamps
from daemon.intake.header_line import DIGITS, LETTERS, Form, ParsedLine, iso_at, pid_of, program
from daemon.intake.levels import priority_of

_MESSAGES = ("message", "msg", "MESSAGE", "log", "event", "text", "short_message")
_LEVELS = ("level", "severity", "lvl", "PRIORITY", "levelname", "log.level", "loglevel")
_TIMES = ("time", "timestamp", "ts", "@timestamp", "t", "datetime", "__REALTIME_TIMESTAMP")
_UNITS = ("service", "app", "application", "program", "SYSLOG_IDENTIFIER", "unit")
_HOSTS = ("host", "hostname", "_HOSTNAME")
_PIDS = ("pid", "process", "_PID")
_LOGGERS = ("logger", "name", "component", "caller", "module", "target")
_TROUBLES = ("error", "err", "exception", "reason", "cause", "detail")

LONGEST_OBJECT = 65_536
"""Longer lines are not read as JSON."""

_PAIR = re.compile(r"([A-Za-z_@][\w.@/-]{0,63})=(?:\"((?:[^\"\\]|\\.)*+)\"|(\S*+))(?:\s+|$)")
_PAIRS = re.compile(r"(?:time|ts|t|level|lvl|timestamp|logger|caller|at)=(?:\"[^\"]*+\"|\S++)\s+\w")
_OBJECT = re.compile(r"\{\s*\"")
_CRI = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) [FP] "
)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        value = fields.get(name)
        if value is not None and value != "":
            return value
    return None


def _fields_of(line: str) -> dict[str, Any] | None:
    if len(line) > LONGEST_OBJECT or not line.rstrip().endswith("}"):
        return None
    try:
        fields = orjson.loads(line)
    except (ValueError, UnicodeError):
        return None
    return fields if isinstance(fields, dict) else None


def _read_pairs(match: re.Match[str], line: str, now: float) -> ParsedLine | None:
    fields = {
        key: bare if quoted is None else quoted.replace('\\"', '"')
        for key, quoted, bare in (
            (pair[1], pair[2], pair[3]) for pair in _PAIR.finditer(line[:LONGEST_OBJECT])
        )
    }
    if _first(fields, ("msg", "message")) is None:
        return None
    return _from_fields(fields, line, "logfmt")


def _from_fields(fields: Mapping[str, Any], line: str, form: str) -> ParsedLine | None:
    message = _first(fields, _MESSAGES)
    if isinstance(message, (dict, list)):
        message = orjson.dumps(message).decode()
    if message is None:
        return None
    parts = [str(message).rstrip("\n")]
    for name in _TROUBLES:
        trouble = fields.get(name)
        if trouble is None or trouble == "" or trouble is False:
            continue
        if isinstance(trouble, Mapping):
            trouble = _first(trouble, ("message", "msg", "kind", "type"))
        if trouble is not None and str(trouble) not in parts[0]:
            parts.append(f"{name}={trouble}")
    level = _first(fields, _LEVELS)
    pid = _first(fields, _PIDS)
    at = timestamps.any_of(_first(fields, _TIMES))
    return ParsedLine(
        at,
        _word(_first(fields, _HOSTS)),
        program(_word(_first(fields, _UNITS))),
        pid if isinstance(pid, int) and not isinstance(pid, bool) else pid_of(_word(pid)),
        priority_of(level if isinstance(level, (int, str)) else None),
        " ".join(parts),
        _word(_first(fields, _LOGGERS)),
        form,
    )


def _word(value: Any) -> str:
    return value[:255] if isinstance(value, str) else ""


Inner = Callable[[str, float], ParsedLine]
"""Reads the line that another line carries."""


def forms(read_inner: Inner) -> tuple[Form, ...]:
    """The forms that carry lines of other forms, and those of fields."""

    def read_container(match: re.Match[str], line: str, now: float) -> ParsedLine:
        inner = read_inner(line[match.end() :], now)
        return inner._replace(timestamp=iso_at(match["at"]), form="container")

    def read_object(match: re.Match[str], line: str, now: float) -> ParsedLine | None:
        fields = _fields_of(line)
        if fields is None:
            return None
        carried = fields.get("log")
        if isinstance(carried, str) and "stream" in fields:  # a container's line in a file
            at = timestamps.any_of(_first(fields, _TIMES))
            inner = read_inner(carried.rstrip("\r\n"), now)
            return inner._replace(timestamp=at or inner.timestamp, form="json")
        if isinstance(carried, dict):
            fields = {**carried, **fields}
        return _from_fields(fields, line, "json")

    return (
        Form("container", DIGITS, _CRI.match, read_container),
        Form("json", "{", _OBJECT.match, read_object),
    )


PAIRS = Form("logfmt", LETTERS, _PAIRS.match, _read_pairs)
