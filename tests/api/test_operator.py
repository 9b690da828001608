"""The operator's endpoints: what they take, what they hand on, and the live stream."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from facade_kit import AT, Served, eventually, raw
from prometheus_client.parser import text_string_to_metric_families

from api.ports import LiveItem
from api.serve import PortTakenError, listen
from api.streaming import EventStream
from tiers.vocabulary import Severity

# What Alertmanager 0.27 posts, nanoseconds and empty end times included.
WEBHOOK = {
    "receiver": "triaged",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "HostOutOfDiskSpace",
                "device": "/dev/sda1",
                "instance": "10.0.0.7:9100",
                "job": "node",
                "severity": "critical",
            },
            "annotations": {"summary": "Disk of db1 is 96 % full", "description": "long"},
            "startsAt": "2026-03-01T11:55:26.739266876+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=1",
            "fingerprint": "5b1c2f6e7a8d9c01",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "Watchdog", "severity": "none"},
            "annotations": {},
            "startsAt": "2026-03-01T10:00:00Z",
            "endsAt": "2026-03-01T11:00:00Z",
            "generatorURL": "",
            "fingerprint": "aabbccddeeff0011",
        },
    ],
    "groupLabels": {"alertname": "HostOutOfDiskSpace"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "version": "4",
    "groupKey": '{}:{alertname="HostOutOfDiskSpace"}',
    "truncatedAlerts": 0,
}


async def test_alertmanager(parts: Served, http: httpx.AsyncClient) -> None:
    response = await http.post("/api/v1/webhooks/alertmanager", json=WEBHOOK)
    assert response.status_code == 202
    assert response.json() == {"accepted": 2}
    first, second = parts.events.posted
    assert first.text == "alert HostOutOfDiskSpace firing: Disk of db1 is 96 % full"
    assert (first.unit, first.host, first.severity) == ("node", "10.0.0.7:9100", Severity.CRITICAL)
    assert first.occurred_at is not None
    assert first.occurred_at.astimezone(UTC) == datetime(2026, 3, 1, 9, 55, 26, 739266, tzinfo=UTC)
    assert first.key is not None
    assert first.key.startswith("5b1c2f6e7a8d9c01:")
    assert second.text == "alert Watchdog resolved"
    assert (second.unit, second.host, second.severity) == ("alertmanager", None, Severity.INFO)
    assert second.occurred_at is None


async def test_alertmanager_at_its_worst(parts: Served, http: httpx.AsyncClient) -> None:
    long = "x" * 100_000
    alert = {
        "labels": {"job": long, "instance": long, "severity": long, long: long, "a\0": "\0"},
        "annotations": {"summary": long},
        "startsAt": "0001-01-01T00:00:00Z",
        "fingerprint": long,
    }
    response = await http.post("/api/v1/webhooks/alertmanager", json={"alerts": [alert]})
    assert response.status_code == 202
    (event,) = parts.events.posted
    assert len(event.text) == 65_536
    assert len(event.unit) == 256
    assert len(event.host or "") == 256
    assert len(event.key or "") < 150
    assert event.severity is None
    assert event.occurred_at is None
    assert all(len(key) <= 64 and len(value) <= 1_000 for key, value in event.attributes.items())


async def test_alertmanager_may_send_thousands(parts: Served, http: httpx.AsyncClient) -> None:
    body = {"alerts": [{"labels": {"alertname": str(n)}} for n in range(2_500)]}
    response = await http.post("/api/v1/webhooks/alertmanager", json=body)
    assert response.json()["accepted"] == 2_500
    assert parts.events.calls == 3
    assert (
        await http.post("/api/v1/webhooks/alertmanager", json={"alerts": []})
    ).status_code == 400


async def test_events(parts: Served, http: httpx.AsyncClient) -> None:
    event = {"text": "boom", "unit": "nginx", "host": "h", "severity": "warning", "id": "1"}
    # As curl -d sends it: the type says that it is a form.
    response = await http.post(
        "/api/v1/events",
        content=json.dumps({**event, "at": "2026-03-01T12:00:00"}),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 202, response.text
    (posted,) = parts.events.posted
    assert posted.occurred_at == AT, "a time without a zone is UTC"
    assert (posted.key, posted.severity) == ("1", Severity.WARNING)
    response = await http.post("/api/v1/events", json={"events": [event] * 3})
    assert response.json() == {"accepted": 3}
    found = await http.get("/api/v1/events?since=2026-03-01T12:00:00&text=x")
    assert found.json()["events"][0]["text"] == "half \ufffd a pair"
    assert parts.events.wanted is not None
    assert parts.events.wanted.since == AT


async def test_incidents(parts: Served, http: httpx.AsyncClient) -> None:
    listed = await http.get("/api/v1/incidents?state=open&state=closed&min_severity=notice&limit=5")
    assert listed.json()["incidents"][0]["severity"] == "warning"
    wanted = parts.incidents.wanted
    assert wanted is not None
    assert (wanted.states, wanted.min_severity, wanted.limit) == (("open", "closed"), "notice", 5)
    shown = (await http.get("/api/v1/incidents/1")).json()
    assert shown["incident"]["opened_at"] == "2026-03-01T12:00:00+00:00"
    assert shown["leading"] == [["ip", "192.0.2.1", 3]]
    muted = await http.post("/api/v1/incidents/1/mute", json={"reason": "known", "hours": 2})
    assert muted.status_code == 200
    assert parts.incidents.asked == [("mute", 1, "operator:local", "known", 2.0, None)]
    for hours in ("NaN", "Infinity", "0", "1e300"):
        body = f'{{"reason": "x", "hours": {hours}}}'
        assert (await http.post("/api/v1/incidents/1/mute", content=body)).status_code == 400


async def test_status_health_and_metrics(parts: Served, http: httpx.AsyncClient) -> None:
    status = (await http.get("/api/v1/status")).json()
    assert status["parts"][0]["facts"] == {"rate": None}, "JSON has no NaN"
    assert (await http.get("/api/v1/tiers")).json() == {"tiers": []}
    for method in ("GET", "HEAD"):
        assert (await http.request(method, "/healthz")).status_code == 200
        assert (await http.request(method, "/readyz")).status_code == 200
    parts.status.ready = False
    response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["store"]["health"] == "down"
    assert (await http.get("/healthz")).status_code == 200
    metrics = await http.get("/metrics")
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert [family.name for family in text_string_to_metric_families(metrics.text)] == ["x_seconds"]


async def test_ledger_memory_and_review(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/ledger?after=4")).json()["entries"][0]["seq"] == 5
    assert (await http.get("/api/v1/memory?q=disk")).json()["found"][0]["title"] == "disk"
    assert (await http.post("/api/v1/memory/rebuild")).json() == {"entries": 4}
    review = (await http.post("/api/v1/review")).json()
    assert review == {"summary": "quiet", "by": "operator:local"}


async def test_the_openapi_document(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert {"/v1/chat/completions", "/api/v1/events", "/readyz"} <= set(document["paths"])
    operations = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(operations) == len(set(operations))


async def test_a_review_ends_with_its_reader(served: Served) -> None:
    served.reviews.block = True
    request = b"POST /api/v1/review HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert await raw(served.port, request, seconds=0.2) == b""
    await eventually(lambda: served.reviews.cancelled)


def happened(text: str) -> LiveItem:
    return LiveItem(at=AT, kind="event", severity=Severity.INFO, text=text)


async def test_the_live_stream(served: Served) -> None:
    async with (
        httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
        client.stream("GET", "/api/v1/live") as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == ": connected"
        assert served.live.followers == 1, "what happens from the greeting on is not missed"
        served.live.queue.put_nowait(happened("a\nb"))
        assert await anext(lines) == ""
        assert json.loads((await anext(lines))[6:])["text"] == "a\nb"
    await eventually(lambda: served.live.followers == 0)


async def test_stopping_ends_live_streams_at_once(served: Served) -> None:
    async with (
        httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
        client.stream("GET", "/api/v1/live") as response,
    ):
        lines = response.aiter_lines()
        await anext(lines)
        assert served.facade is not None
        began = asyncio.get_running_loop().time()
        served.facade.stop()
        rest = [line async for line in lines]
        assert rest == [""]
        assert asyncio.get_running_loop().time() - began < 1.5
    await eventually(lambda: served.live.followers == 0)


async def test_heartbeats_and_readers_that_do_not_read() -> None:
    closed = asyncio.Event()

    async def quiet():  # type: ignore[no-untyped-def]
        try:
            yield b"data: 1\n\n"
            await asyncio.sleep(60)
        finally:
            closed.set()

    sent: list[bytes] = []
    stuck = asyncio.Event()

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        return {}

    async def send(message: dict[str, object]) -> None:
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        sent.append(body)
        if len(sent) > 4:
            await stuck.wait()

    stream = EventStream(quiet(), heartbeat=0.05, send_seconds=0.2)
    await asyncio.wait_for(stream({}, receive, send), 3)  # type: ignore[arg-type]
    assert sent[1:4] == [b"data: 1\n\n", b": waiting\n\n", b": waiting\n\n"]
    assert closed.is_set()


def test_a_port_in_use_is_named() -> None:
    with listen(host="127.0.0.1", port=0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 is in use"):
            listen(host="127.0.0.1", port=port)
    with listen(host="::1", port=0) as sixth:
        assert sixth.getsockname()[1]
