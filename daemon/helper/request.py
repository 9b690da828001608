"""One request: a line of JSON, bounded in bytes and in time, taken apart without trust.

{"verb": "process-end", "arguments": {"pid": 4711, "start": 123456, "signal": "term"}}
"""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from daemon.helper.errors import RequestError

LIMIT = 65_536
"""Bytes of a line, its end included."""

_VERB = re.compile(r"[a-z][a-z-]{0,31}", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`arguments` are whatever JSON holds: `arguments.Arguments` makes typed values of them."""

    verb: str
    arguments: Mapping[str, Any]


def read_line(connection: socket.socket, *, seconds: float) -> bytes:
    """The first line. Raises `RequestError` where none comes in time, or it is too long."""
    end = time.monotonic() + seconds
    line = bytearray()
    while b"\n" not in line:
        left = end - time.monotonic()
        if left <= 0:
            raise RequestError(f"no whole line came within {seconds:g} s")
        connection.settimeout(left)
        try:
            more = connection.recv(LIMIT)
        except TimeoutError:
            continue
        except OSError as error:
            raise RequestError(f"the connection broke: {error.strerror}") from error
        if not more:
            raise RequestError("the connection ended before the end of the line")
        line += more
        if len(line) > LIMIT:
            raise RequestError(f"the line is longer than {LIMIT} bytes")
    return bytes(line[: line.index(b"\n")])


def parse(line: bytes) -> Request:
    """Raises `RequestError` for everything that is not a verb with arguments."""
    try:
        value = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_float=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the line is not such JSON as the helper reads: {error}") from error
    if not isinstance(value, dict) or value.keys() != {"verb", "arguments"}:
        raise RequestError('a request is {"verb": ..., "arguments": {...}} and nothing else')
    verb, arguments = value["verb"], value["arguments"]
    if not isinstance(verb, str) or not _VERB.fullmatch(verb):
        raise RequestError("the verb is not a name of small letters and hyphens")
    if not isinstance(arguments, dict):
        raise RequestError("the arguments are not an object")
    return Request(verb=verb, arguments=arguments)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise RequestError("a key stands twice in the same object")
    return result


def _refuse_number(text: str) -> NoReturn:
    raise RequestError("numbers are whole numbers")
