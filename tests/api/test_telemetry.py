"""What the facade measures, as a scraper sees it: real requests and few labels."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from facade_kit import (
    Served,
    assembled,
    in_process,
    now,
    said,
    serving,
)
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from relay_kit import SSE, Endpoint, Seen, chunk, endpoint, whole

from api.keys.access import Access
from api.keys.key import Key, Limits, digest_of
from api.keys.meter import Meter
from api.keys.parse import render_key
from api.keys.ring import KeyRing
from api.observing import AnswerRecord
from api.roles import Role
from api.telemetry.telemetry import Telemetry
from tiers.chat_contracts import AgentEvent, TextDelta, ToolFinished, ToolStarted
from tiers.contracts import ToolResult, ToolTrace
from tiers.errors import QueueFullError, TierUnavailableError
from tiers.llm.admission import Admission
from tiers.observing import CallRecord
from tiers.vocabulary import TierName

QUESTION: dict[str, Any] = {"model": "triaged", "messages": [{"role": "user", "content": "hi"}]}
BARE = {**QUESTION, "model": "tier/review"}


@dataclasses.dataclass(frozen=True)
class Scraped:
    """The samples of one scrape."""

    samples: tuple[tuple[str, dict[str, str], float], ...]

    def sum(self, name: str, **labels: str) -> float:
        """Of all series that have these labels."""
        return sum(
            value
            for found, its, value in self.samples
            if found == name and labels.items() <= its.items()
        )

    def values(self, label: str) -> set[str]:
        return {its[label] for _, its, _ in self.samples if label in its}


def scraped(telemetry: Telemetry) -> Scraped:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(telemetry)
    text = generate_latest(registry).decode()
    assert "_created" not in text
    return Scraped(
        tuple(
            (sample.name, dict(sample.labels), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )
    )


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def measured(telemetry: Telemetry) -> Served:
    return assembled(telemetry=telemetry)


@pytest.fixture
async def http(measured: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(measured.app) as client:
        yield client


# --- the model triaged


async def test_an_answer_counts_under_its_model_and_endpoint(
    http: httpx.AsyncClient, telemetry: Telemetry
) -> None:
    assert (await http.post("/v1/chat/completions", json=QUESTION)).status_code == 200
    await http.post("/v1/chat/completions", json={**QUESTION, "stream": True})
    await http.post("/v1/completions", json={"model": "triaged", "prompt": "hi"})
    await http.post("/v1/responses", json={"model": "triaged", "input": "hi"})
    found = scraped(telemetry)
    for endpoint_, operation, times in (
        ("chat", "chat", 2),
        ("completions", "text_completion", 1),
        ("responses", "chat", 1),
    ):
        labels = {
            "gen_ai_request_model": "triaged",
            "gen_ai_operation_name": operation,
            "endpoint": endpoint_,
        }
        name = "gen_ai_server_request_duration_seconds_count"
        assert found.sum(name, **labels, error_type="") == times, endpoint_
        assert found.sum("gen_ai_server_time_to_first_token_seconds_count", **labels) == times
        assert found.sum("gen_ai_server_time_per_output_token_seconds_count", **labels) == times
        assert found.sum("triaged_inter_token_seconds_count", **labels) == times  # two pieces
        tokens = "triaged_answer_tokens_total"
        assert found.sum(tokens, **labels, gen_ai_token_type="input") == 7 * times
        assert found.sum(tokens, **labels, gen_ai_token_type="output") == 3 * times
    assert found.sum("triaged_answers_active") == 0
    assert found.sum("triaged_streams_cut_total") == found.sum("triaged_clients_gone_total") == 0


async def test_the_time_of_tools_is_told_apart(
    http: httpx.AsyncClient, telemetry: Telemetry, measured: Served
) -> None:
    async def with_tools() -> AsyncIterator[AgentEvent]:
        for number, seconds in enumerate((0.25, 0.5)):
            call_id = f"c{number}"
            trace = ToolTrace(
                name="disk_usage",
                arguments={},
                result=ToolResult(ok=True, summary="full"),
                seconds=seconds,
            )
            yield ToolStarted(call_id=call_id, name="disk_usage", arguments={})
            yield ToolFinished(call_id=call_id, trace=trace)
        async for event in said("full"):
            yield event

    measured.agent.script = with_tools
    await http.post("/v1/chat/completions", json=QUESTION)
    await http.post("/v1/responses", json={"model": "triaged", "input": "hi"})
    found = scraped(telemetry)
    for name in ("chat", "responses"):
        assert found.sum("triaged_answer_tool_seconds_sum", endpoint=name) == 0.75


async def test_errors_and_cut_streams_count_by_kind(
    http: httpx.AsyncClient, telemetry: Telemetry, measured: Served
) -> None:
    async def full() -> AsyncIterator[AgentEvent]:
        raise QueueFullError("meta: full", retry_after=1)
        yield

    async def cut() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="half")
        raise TierUnavailableError("meta: gone")

    measured.agent.script = full
    assert (await http.post("/v1/chat/completions", json=QUESTION)).status_code == 429
    measured.agent.script = cut
    await http.post("/v1/chat/completions", json={**QUESTION, "stream": True})
    wrong = {**QUESTION, "tools": "x" * 50}
    assert (await http.post("/v1/chat/completions", json=wrong)).status_code == 400
    found = scraped(telemetry)
    name = "gen_ai_server_request_duration_seconds_count"
    assert found.sum(name, error_type="queue_full") == 1
    assert found.sum(name, error_type="tier_unavailable") == 1
    assert found.sum("triaged_streams_cut_total", endpoint="chat") == 1
    assert found.sum("triaged_requests_refused_total", kind="queue") == 1
    route = "/v1/chat/completions"
    for status, times in (("429", 1), ("200", 1), ("400", 1)):
        count = "http_server_request_duration_seconds_count"
        assert found.sum(count, http_route=route, http_response_status_code=status) == times


async def test_a_client_that_goes_away_is_counted(telemetry: Telemetry) -> None:
    async def endless() -> AsyncIterator[AgentEvent]:
        while True:
            yield TextDelta(text="more ")
            await asyncio.sleep(0.01)

    async with serving(telemetry=telemetry) as served:
        served.agent.script = endless
        async with (
            httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
            client.stream(
                "POST", "/v1/chat/completions", json={**QUESTION, "stream": True}
            ) as answer,
        ):
            got, parts = b"", answer.aiter_bytes()
            while got.count(b"data:") < 4:
                got += await anext(parts)
            active = scraped(telemetry)
            assert active.sum("triaged_answers_active", endpoint="chat") == 1
            assert active.sum("http_server_active_requests") == 1
        async with asyncio.timeout(5):
            while not scraped(telemetry).sum("triaged_clients_gone_total"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    found = scraped(telemetry)
    name = "gen_ai_server_request_duration_seconds_count"
    assert found.sum(name, endpoint="chat", error_type="gone") == 1
    assert found.sum("triaged_inter_token_seconds_count", endpoint="chat") >= 1
    assert found.sum("triaged_answers_active") == found.sum("http_server_active_requests") == 0


# --- the bare models


@contextlib.asynccontextmanager
async def relayed(telemetry: Telemetry) -> AsyncIterator[tuple[httpx.AsyncClient, Endpoint]]:
    async with endpoint() as (double, url), serving(telemetry=telemetry) as served:
        served.targets.url = url
        async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
            yield client, double


async def test_a_relayed_answer_counts_under_its_tier_and_endpoint(telemetry: Telemetry) -> None:
    async with relayed(telemetry) as (client, double):
        with structlog.testing.capture_logs() as logs:
            answer = await client.post("/v1/embeddings", json={"model": "tier/review", "input": ""})
            assert answer.status_code == 200
            sent = {"X-Request-ID": "mine-1"}
            await client.post("/tier/meta/v1/chat/completions", json=QUESTION, headers=sent)
            await client.get("/tier/meta/health")
        assert [seen.headers["x-request-id"] for seen in double.seen][1] == "mine-1"
        assert len(double.seen) == 3
    (first, second) = [line for line in logs if line["event"] == "relayed"]
    assert (first["model"], first["endpoint"], first["status"]) == (
        "tier/review",
        "embeddings",
        200,
    )
    assert (second["model"], second["completion_tokens"]) == ("tier/meta", 2)
    found = scraped(telemetry)
    for model, operation, name in (
        ("tier/review", "embeddings", "embeddings"),
        ("tier/meta", "chat", "chat/completions"),
    ):
        labels = {"gen_ai_request_model": model, "gen_ai_operation_name": operation}
        count = "gen_ai_server_request_duration_seconds_count"
        assert found.sum(count, **labels, endpoint=name, error_type="") == 1
        tokens = "triaged_answer_tokens_total"
        assert found.sum(tokens, **labels, endpoint=name, gen_ai_token_type="input") == 3
        usage = "gen_ai_client_token_usage_sum"
        assert found.sum(usage, **labels, gen_ai_token_type="output") == 2
    # A look-up asks nothing of a model: HTTP alone has it.
    assert "health" not in found.values("endpoint")
    assert found.sum("http_server_request_duration_seconds_count") == 3
    routes = {"/v1/embeddings", "/tier/{tier}/v1/chat/completions", "/tier/{tier}/health"}
    assert found.values("http_route") == routes


async def test_a_relayed_stream_has_a_first_token_and_gaps(telemetry: Telemetry) -> None:
    async def streamed(_seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE)
        for number in range(4):
            writer.write(chunk(b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number))
            await writer.drain()
            await asyncio.sleep(0.03)
        writer.write(
            chunk(
                b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}\n\n'
                b"data: [DONE]\n\n"
            )
            + b"0\r\n\r\n"
        )
        return False

    async with relayed(telemetry) as (client, double):
        double.script = streamed
        answer = await client.post("/v1/chat/completions", json={**BARE, "stream": True})
        assert answer.status_code == 200
    found = scraped(telemetry)
    labels = {"gen_ai_request_model": "tier/review", "endpoint": "chat/completions"}
    assert found.sum("gen_ai_server_time_to_first_token_seconds_count", **labels) == 1
    assert found.sum("triaged_inter_token_seconds_count", **labels) >= 3
    per_token = found.sum("gen_ai_server_time_per_output_token_seconds_sum", **labels)
    assert 0.02 <= per_token <= 0.5
    took = found.sum("gen_ai_server_request_duration_seconds_sum", **labels)
    first = found.sum("gen_ai_server_time_to_first_token_seconds_sum", **labels)
    assert first < took
    tokens = "triaged_answer_tokens_total"
    assert found.sum(tokens, **labels, gen_ai_token_type="output") == 4


async def test_relayed_troubles_count_by_kind(telemetry: Telemetry) -> None:
    async def cut(_seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE + chunk(b'data: {"choices":[]}\n\n'))
        await writer.drain()
        await asyncio.sleep(0.05)
        return False

    async def refused(_seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(b'{"error":{}}', status=b"400 Bad Request"))
        return True

    async with relayed(telemetry) as (client, double):
        double.script = refused
        assert (await client.post("/v1/chat/completions", json=BARE)).status_code == 400
        double.script = cut
        await client.post("/v1/chat/completions", json={**BARE, "stream": True})
    down = assembled(telemetry=telemetry)
    async with in_process(down.app) as client:
        assert (await client.post("/v1/chat/completions", json=BARE)).status_code == 503
    found = scraped(telemetry)
    name = "gen_ai_server_request_duration_seconds_count"
    for error in ("400", "broken", "tier_unavailable"):
        assert found.sum(name, gen_ai_request_model="tier/review", error_type=error) == 1, error
    assert found.sum("triaged_streams_cut_total", endpoint="chat/completions") == 1
    assert found.sum("triaged_answers_active") == 0


# --- who is not let in


def _limited(**limits: int) -> Access:
    keyless = Key(name="", role=Role.OPERATOR, digest=b"", limits=Limits(**limits))
    ring = KeyRing(path=None, named=False, now=now)
    return Access(ring=ring, keyless=keyless, meter=Meter(now=now), clock=time.monotonic, now=now)


async def test_refused_requests_count_by_kind_and_key(telemetry: Telemetry, tmp_path: Path) -> None:
    async with in_process(
        assembled(telemetry=telemetry, access=_limited(requests_per_minute=1)).app
    ) as client:
        for _ in range(3):
            await client.post("/v1/chat/completions", json=QUESTION)
        await client.get("/healthz", headers={"Host": "evil.example"})
        await client.get("/readyz", headers={"Host": "evil.example"})
    access = _limited(tokens_per_day=5)
    async with in_process(assembled(telemetry=telemetry, access=access).app) as client:
        for _ in range(2):
            await client.post("/v1/chat/completions", json=QUESTION)
    file = tmp_path / "keys.toml"
    file.write_text(
        render_key(
            Key(
                name="reader",
                role=Role.VIEWER,
                digest=digest_of(b"secret-of-the-reader"),
                limits=Limits(requests_per_minute=2),
            )
        )
    )
    file.chmod(0o600)
    async with in_process(assembled(telemetry=telemetry, access=_keyed(file)).app) as client:
        mine = {"Authorization": "Bearer secret-of-the-reader"}
        for path, headers, status in (
            ("/api/v1/events", {"Authorization": "Bearer secret-of-nobody"}, 401),
            ("/api/v1/events", mine, 403),
            ("/v1/chat/completions", {**mine, "Content-Length": "99999999"}, 413),
            ("/v1/chat/completions", {**mine, "X-Request-ID": "1"}, 200),
            ("/v1/chat/completions", mine, 200),
            ("/v1/chat/completions", mine, 429),
        ):
            content = orjson.dumps(QUESTION)
            answer = await client.post(path, headers=headers, content=content)
            assert answer.status_code == status, answer.text
    found = scraped(telemetry)
    name = "triaged_requests_refused_total"
    assert found.sum(name, kind="limits", key="") == 2
    assert found.sum(name, kind="origin") == 2
    assert found.sum(name, kind="budget", key="") == 1
    assert found.sum(name, kind="auth", key="") == 1
    for kind in ("role", "body", "limits"):
        assert found.sum(name, kind=kind, key="reader") == 1, kind
    assert found.values("key") == {"", "reader"}


def _keyed(file: Path) -> Access:
    ring = KeyRing(path=file, named=True, now=now)
    return Access(ring=ring, keyless=None, meter=Meter(now=now), clock=time.monotonic, now=now)


# --- labels stay few


async def test_what_clients_write_never_becomes_a_label(
    http: httpx.AsyncClient, telemetry: Telemetry
) -> None:
    for number in range(40):
        word = f"w{number}"
        await http.post("/v1/chat/completions", json={**QUESTION, "model": word})
        await http.post("/v1/chat/completions", json={**QUESTION, "user": word})
        await http.post("/v1/chat/completions", json={**QUESTION, "model": f"tier/{word}"})
        await http.get(f"/{word}")
        await http.get(f"/api/v1/incidents/{number}")
        await http.get(f"/tier/{word}/health")
        await http.request(word.upper(), "/healthz")
        await http.get("/healthz", headers={"X-Request-ID": word})
        telemetry.tools.used(name=word, outcome="unknown", seconds=0.1)
        telemetry.answers.began(endpoint="chat")
        telemetry.answers.ended(_record(outcome=word, status=400))
        telemetry.calls.called(_call(tier=word))
    found = scraped(telemetry)
    series = {(name, tuple(sorted(its.items()))) for name, its, _ in found.samples}
    assert len(series) < 500
    words = {value for _, its, _ in found.samples for value in its.values()}
    assert not {f"w{n}" for n in range(40)} & words
    assert not {f"W{n}" for n in range(40)} & words
    assert found.values("http_request_method") == {"POST", "GET", "_OTHER"}
    assert "/api/v1/incidents/{incident_id}" in found.values("http_route")
    assert found.sum("triaged_tool_duration_seconds_count", gen_ai_tool_name="other") == 40


def _record(*, outcome: str, status: int) -> AnswerRecord:
    return AnswerRecord(
        request_id="r",
        endpoint="chat",
        model="triaged",
        caller="somebody",
        stream=False,
        status=status,
        outcome=outcome,
        prompt_tokens=0,
        completion_tokens=0,
        cached_tokens=0,
        seconds=0.1,
        first_seconds=None,
        gap_seconds=None,
        longest_gap_seconds=None,
        tool_calls=0,
        tool_seconds=0.0,
        client_calls=0,
        proposals=0,
    )


def _call(*, tier: str = "meta", error: str = "", request_id: str = "") -> CallRecord:
    return CallRecord(
        tier=tier,
        operation="chat",
        request_id=request_id,
        error=error,
        seconds=0.3,
        waited_seconds=0.2,
        prompt_tokens=11,
        completion_tokens=5,
    )


# --- calls of the tiers


def test_calls_of_tiers_count_with_what_they_waited(telemetry: Telemetry) -> None:
    with structlog.testing.capture_logs() as logs:
        telemetry.calls.called(_call())
        telemetry.calls.called(_call(error="queue_full", request_id="r-1"))
    (line,) = logs
    assert (line["event"], line["request_id"], line["tier"]) == ("model called", "r-1", "meta")
    assert (line["waited_seconds"], line["error"]) == (0.2, "queue_full")
    admission = Admission(name="meta", slots=1, queue=8)
    telemetry.follow_queue(TierName.META, admission)
    admission.running = 1
    found = scraped(telemetry)
    labels = {"gen_ai_request_model": "tier/meta"}
    name = "gen_ai_client_operation_duration_seconds_count"
    assert found.sum(name, **labels, error_type="") == 1
    assert found.sum(name, **labels, error_type="queue_full") == 1
    assert found.sum("triaged_queue_wait_seconds_sum", **labels) == pytest.approx(0.4)
    assert found.sum("gen_ai_client_token_usage_sum", **labels, gen_ai_token_type="input") == 22
    assert found.sum("triaged_queue_calls", **labels, state="waiting") == 0
    assert found.sum("triaged_queue_calls", **labels, state="running") == 1
    admission.running = 0
    assert scraped(telemetry).sum("triaged_queue_calls", **labels, state="running") == 0


# --- cost


def _rounds(telemetry: Telemetry) -> Iterator[None]:
    relayed_ = telemetry.relayed.started(tier=TierName.META, endpoint="chat/completions")
    while True:
        relayed_.sent(frames=1, size=80)
        telemetry.answers.gap(endpoint="chat", seconds=0.01)
        yield


def test_what_a_token_costs_allocates_no_new_series(telemetry: Telemetry) -> None:
    rounds = _rounds(telemetry)
    next(rounds)
    before = len(scraped(telemetry).samples)
    for _ in range(1_000):
        next(rounds)
    assert len(scraped(telemetry).samples) == before
