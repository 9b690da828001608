"""From what others send to events. Pure.

Everything in a payload is the sender's word: bounded, cleaned, and never more than `text` unless
the caller vouches for the sender.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from daemon.events import Event
from tiers.vocabulary import Provenance, Severity, SourceKind

TEXT_LIMIT = 16_384
_NAME_LIMIT = 200
_FUTURE_SECONDS = 300.0
_PRIORITY = {
    Severity.INFO.value: 6,
    Severity.NOTICE.value: 5,
    Severity.WARNING.value: 4,
    Severity.CRITICAL.value: 2,
    # Words that others use for the same.
    "debug": 7,
    "none": 6,
    "warn": 4,
    "error": 3,
    "err": 3,
    "major": 3,
    "page": 2,
    "crit": 2,
    "alert": 1,
    "emergency": 0,
}


class PayloadError(ValueError):
    """What came is no event. The sentence says what is wrong with it."""


def event_from_payload(
    payload: Mapping[str, Any],
    *,
    provenance: Provenance,
    kind: SourceKind,
    source: str,
    now: float,
    key: str | None = None,
    text_limit: int = TEXT_LIMIT,
) -> Event:
    """The event of {"text", "unit", "severity", "host", "id", "at"}; only `text` must be there.

    `at` is Unix time or ISO 8601; one that cannot be right (in the future, not finite) becomes
    `now`. `id` becomes the key, so that sending again is harmless; else `key` is used. Raises
    `PayloadError`.
    """
    text = payload.get("text")
    if not isinstance(text, str) or not text.strip():
        message = 'the event has no "text"; send a non-empty string'
        raise PayloadError(message)
    text, cut = _clean(text, text_limit)
    attributes: dict[str, str] = {}
    if cut:
        attributes["cut_characters"] = str(cut)
    host = _name(payload, "host")
    if host:
        attributes["host"] = host
    severity = _name(payload, "severity").lower()
    if severity:
        attributes["severity"] = severity  # the sender's word, not ours
    identity = payload.get("id")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if isinstance(identity, str) and identity:
        key = _key_of(host, identity)
    return Event(
        text,
        _name(payload, "unit").removesuffix(".service"),
        kind,
        source,
        provenance,
        _time(payload.get("at"), now),
        _PRIORITY.get(severity),
        key,
        attributes or None,
    )


def payload_of(raw: bytes, *, text_limit: int = TEXT_LIMIT) -> Mapping[str, Any]:
    """A JSON object as it is, anything else as plain text. Raises `PayloadError` for nothing at
    all, and for what is not text."""
    if raw.lstrip()[:1] == b"{":
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # a log line may begin with a brace
        else:
            if isinstance(value, dict):
                return value
    # Cut before decoding: a character that is halved at the cut is dropped by `ignore`.
    text = raw[: text_limit * 4].decode(errors="replace")
    if not text.strip("\0 \t\r\n"):
        message = "the payload is empty; send text or a JSON object"
        raise PayloadError(message)
    if raw.count(b"\0") * 20 > len(raw):
        message = "the payload is binary; send text or a JSON object"
        raise PayloadError(message)
    return {"text": text}


def _name(payload: Mapping[str, Any], field: str) -> str:
    value = payload.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        message = f'"{field}" is not a string'
        raise PayloadError(message)
    return "".join(c for c in value[:_NAME_LIMIT] if c.isprintable()).strip()


def _clean(text: str, limit: int) -> tuple[str, int]:
    """Bounded, without what PostgreSQL's text cannot hold (NUL, lone surrogates)."""
    cut = max(0, len(text) - limit)
    text = text[:limit].strip("\0 \t\r\n").replace("\0", "\ufffd")
    return text.encode(errors="replace").decode(), cut


def _time(value: Any, now: float) -> float:
    at = now
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # Compared before it is converted: an integer may be too large for a float.
        at = float(value) if 0 < value <= now + _FUTURE_SECONDS else now
    elif isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value[:64])
            at = parsed.timestamp() if parsed.tzinfo is not None else now
        except (ValueError, OverflowError, OSError):
            at = now
    # NaN fails every comparison; a time of the future would make all later events look old.
    return at if 0 < at <= now + _FUTURE_SECONDS else now


def _key_of(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode(errors="replace")
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.hexdigest()
