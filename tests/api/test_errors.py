"""Every error is OpenAI's envelope, whatever was sent."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from facade_kit import Served

from api.ports import BusyError


def checked(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "\\u0000" not in response.text
    return error


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/models/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%00", 404),
        ("GET", "/api/v1/incidents/2", 404),
        ("GET", "/api/v1/incidents/-1", 404),
        ("GET", f"/api/v1/incidents/{2**63}", 404),
        ("GET", f"/api/v1/incidents/{'9' * 5000}", 400),
        ("GET", "/api/v1/incidents/one", 400),
        ("GET", "/api/v1/incidents?limit=0", 400),
        ("GET", "/api/v1/incidents?limit=501", 400),
        ("GET", "/api/v1/incidents?state=open%00", 400),
        ("GET", "/api/v1/incidents?min_severity=bad", 400),
        ("GET", f"/api/v1/incidents?before_id={10**30}", 400),
        ("GET", "/api/v1/events?fingerprint=zz", 400),
        ("GET", "/api/v1/events?since=0001-01-01T00:00:00%2B14:00", 400),
        ("GET", "/api/v1/events?since=yesterday", 400),
        ("GET", f"/api/v1/events?text={'x' * 501}", 400),
        ("GET", "/api/v1/ledger?after=-1", 400),
        ("GET", "/api/v1/memory", 400),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/api/v1/incidents/1/close", 400),
        ("POST", "/api/v1/events", 400),
        ("POST", "/v1/chat/completions", 400),
    ],
)
async def test_requests_that_lead_nowhere(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await http.request(method, path)
    checked(response, status)
    if status == 405:
        assert response.headers["allow"]


DEEP = 50_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe\x00{",
        b'{"text": "\xff"}',
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"messages":' * DEEP,
        b'{"text":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"text": ' + b"9" * 10_000 + b"}",
        b'{"text": NaN}',
        b'{"text": 1e999}',
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b'{"text": ""}',
        b'{"text": "x", "surprise": 1}',
        b'{"events": []}',
        b'{"events": [{"text": "x"}, {"text": 3}]}',
        b'{"text": "x", "at": "0001-01-01T00:00:00+14:00"}',
        b'{"text": "x", "at": "9999-12-31T23:59:59-14:00"}',
        b'{"text": "x", "at": 1e300}',
        b'{"text": "x", "severity": "fatal"}',
        b'{"text": "x", "attributes": {"a": {"b": 1}}}',
        b'{"text": "' + b"x" * 70_000 + b'"}',
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("path", ["/api/v1/events", "/v1/chat/completions"])
async def test_bodies_that_are_wrong(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    response = await http.post(path, content=body, headers={"Content-Type": "application/json"})
    error = checked(response, 400)
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 1_000


async def test_messages_speak_of_what_the_client_wrote(http: httpx.AsyncClient) -> None:
    async def post(body: Any) -> dict[str, Any]:
        return checked(await http.post("/api/v1/events", json=body), 400)

    assert (await post({"unit": "x"}))["param"] == "text"
    assert (await post({"events": [{"text": "x"}, {"unit": "x"}]}))["param"] == "events.1.text"
    assert (await post({"events": [{"text": "x", "bad": 1}]}))["param"] == "events.0.bad"
    broken = await http.post("/api/v1/events", content=b'{"text": }')
    error = checked(broken, 400)
    assert error["message"] == (
        "The body is not valid JSON: unexpected character, expected a JSON value, at character 9."
    )


async def test_text_that_postgresql_cannot_keep_is_mended(
    parts: Served, http: httpx.AsyncClient
) -> None:
    body = rb'{"text": "a\u0000b\ud800", "unit": "\u0000", "attributes": {"\ud800": "\u0000"}}'
    assert (await http.post("/api/v1/events", content=body)).status_code == 202
    (event,) = parts.events.posted
    assert event.text == "a\ufffdb\ufffd"
    assert event.unit == "\ufffd"
    assert event.attributes == {"\ufffd": "\ufffd"}
    closing = rb'{"reason": "done\u0000"}'
    assert (await http.post("/api/v1/incidents/1/close", content=closing)).status_code == 200
    assert parts.incidents.asked == [("close", 1, "operator:local", "done\ufffd")]
    await http.get("/api/v1/incidents", params={"text": "a\0b"})
    assert parts.incidents.wanted is not None
    assert parts.incidents.wanted.text == "a\ufffdb"


async def test_busy_conflict_and_defect(parts: Served, http: httpx.AsyncClient) -> None:
    parts.events.error = BusyError("intake is full", retry_after=0.2)
    response = await http.post("/api/v1/events", json={"text": "x"})
    assert checked(response, 503)["code"] == "busy"
    assert response.headers["retry-after"] == "1"
    response = await http.post("/api/v1/incidents/2/close", json={"reason": "x"})
    assert checked(response, 409)["code"] == "conflict"
    parts.status.error = RuntimeError("the password is hunter2")
    response = await http.get("/api/v1/status")
    assert checked(response, 500)["code"] == "defect"
    assert "hunter2" not in response.text


async def test_error_bodies_are_json_even_for_odd_paths(http: httpx.AsyncClient) -> None:
    response = await http.get("/a%ff%ed%a0%80" + "b" * 5_000)
    error = checked(response, 404)
    assert len(error["message"]) < 500
    json.dumps(error).encode()
