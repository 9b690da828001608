"""What others send, as hostile as they can make it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.events import Event
from daemon.sources.payloads import (
    PayloadError,
    event_from_payload,
    payload_of,
)
from tiers.vocabulary import Provenance, SourceKind

NOW = 1_800_000_000.0


def made(payload: dict[str, Any], **more: Any) -> Event:
    return event_from_payload(
        payload, provenance=Provenance.TEXT, kind=SourceKind.HTTP, source="http", now=NOW, **more
    )


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (1_700_000_000, 1_700_000_000.0),
        ("2026-01-02T03:04:05Z", 1_767_323_045.0),
        ("2026-01-02T03:04:05+01:00", 1_767_319_445.0),
        ("2026-01-02T03:04:05", NOW),
        (NOW + 10_000, NOW),
        (-5, NOW),
        (math.nan, NOW),
        (math.inf, NOW),
        (True, NOW),
        ("tomorrow", NOW),
        ("9999-12-31T23:59:59Z", NOW),
        ({}, NOW),
        (10**400, NOW),
    ],
)
def test_times(at: Any, expected: float) -> None:
    assert made({"text": "x", "at": at}).occurred_at == expected


@pytest.mark.parametrize("text", [None, 5, "", "  \n", ["a"]])
def test_no_text_is_refused(text: Any) -> None:
    with pytest.raises(PayloadError, match="text"):
        made({"text": text})


def test_text_is_bounded_and_clean() -> None:
    event = made({"text": "a\0b\ud800" + "x" * 50}, text_limit=10)
    assert event.text == "a\ufffdb?xxxxxx"
    assert event.attributes == {"cut_characters": "44"}


def test_ids_are_keys_by_host() -> None:
    first = made({"text": "x", "id": "1", "host": "a"})
    assert first.key == made({"text": "y", "id": 1, "host": "a"}).key
    assert first.key != made({"text": "x", "id": "1", "host": "b"}).key
    assert made({"text": "x"}).key is None


_FIELDS = st.sampled_from(["text", "unit", "severity", "host", "id", "at"])
_VALUES = st.none() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@given(st.dictionaries(_FIELDS, _VALUES))
def test_any_object_is_an_event_or_refused(payload: dict[str, Any]) -> None:
    try:
        event = made({"text": "t"} | payload)
    except PayloadError:
        return
    event.text.encode()
    assert "\0" not in event.text
    assert len(event.unit) <= 200


@given(st.binary(max_size=300))
def test_any_bytes_are_a_payload_or_refused(raw: bytes) -> None:
    try:
        payload = payload_of(raw)
    except PayloadError:
        return
    assert isinstance(payload, dict)
