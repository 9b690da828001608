"""Python values as PostgreSQL holds them: hostile text and impossible times are made harmless."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

_FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_LAST_UNIX = _LAST.timestamp()
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """`text` without what PostgreSQL's `text` cannot hold: NUL and lone surrogates are replaced."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def moment(unix: float) -> dt.datetime:
    """Unix time as UTC, between 1970 and 9999 whatever a source states."""
    if math.isnan(unix) or unix <= 0:
        return _FIRST
    if unix >= _LAST_UNIX:
        return _LAST
    return dt.datetime.fromtimestamp(unix, tz=dt.UTC)


def to_json(value: Any) -> str:
    """Compact JSON that `json` and `jsonb` accept. Raises `TypeError` for what is not JSON."""
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        text = orjson.dumps(_clean_deep(value)).decode()
    if "\\u0000" in text:  # also matches a harmless backslash; cleaning is right for both
        text = orjson.dumps(_clean_deep(value)).decode()
    return text


def _clean_deep(value: Any) -> Any:
    match value:
        case str():
            return clean(str(value))
        case Mapping():
            return {clean(str(key)): _clean_deep(item) for key, item in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [_clean_deep(item) for item in value]
        case int() if not isinstance(value, bool) and not -(2**63) <= value < 2**64:
            return float(value)
        case _:
            return value
