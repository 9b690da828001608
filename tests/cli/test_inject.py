"""Bytes of any kind, of any length, on their way to the daemon."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest

from daemon.cli.client import DaemonClient
from daemon.cli.inject import _event, _lines, _posts


def test_bytes_that_are_no_text_are_marked() -> None:
    raw = b"first\r\n\xff\xfe\x80 second\n\x00third"
    assert list(_lines(io.BytesIO(raw))) == ["first", "\ufffd\ufffd\ufffd second", "\x00third"]


def test_a_line_without_end_is_cut() -> None:
    lines = list(_lines(io.BytesIO(b"x" * 600_000)))
    assert [len(line) for line in lines] == [262_144, 262_144, 75_712]


def test_posts_are_bounded_in_number_and_in_bytes() -> None:
    small = [_event(f"line {number}", None) for number in range(2_500)]
    assert [len(some) for some in _posts(iter(small))] == [1_000, 1_000, 500]
    large = [_event("\x01" * 65_536, None) for _ in range(20)]
    posts = list(_posts(iter(large)))
    assert sum(len(some) for some in posts) == 20
    assert max(len(json.dumps({"events": some})) for some in posts) < 1_000_000


def test_a_long_name_is_no_reason_to_refuse_the_line() -> None:
    assert len(_event("text", "u" * 1_000)["unit"]) == 256


def test_what_was_typed_with_strange_bytes_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = DaemonClient(url="http://127.0.0.1:1")
    sent: dict[str, Any] = {}

    def answered(request: httpx.Request) -> httpx.Response:
        sent.update(json.loads(request.content) if request.content else dict(request.url.params))
        return httpx.Response(200, json={})

    monkeypatch.setattr(
        client, "_http", httpx.Client(base_url="http://x", transport=httpx.MockTransport(answered))
    )
    client.post("/", {"a": ["bad\udcff"]})
    assert sent == {"a": ["bad\ufffd"]}
    client.get("/", text="bad\udcff")
    assert sent["text"] == "bad\ufffd"
