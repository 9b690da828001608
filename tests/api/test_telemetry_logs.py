"""Every line that is written for a request has its id, errors and their tracebacks first of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import structlog
from facade_kit import assembled, in_process, serving
from relay_kit import SSE, Seen, chunk, endpoint
from structlog.testing import LogCapture

from api.telemetry.telemetry import Telemetry
from tiers.chat_contracts import AgentEvent, TextDelta
from tiers.errors import TierUnavailableError
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall

QUESTION: dict[str, Any] = {"model": "triaged", "messages": [{"role": "user", "content": "hi"}]}
BARE = {**QUESTION, "model": "tier/review"}


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """Log lines as the daemon's own configuration makes them, before they are written."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture.entries
    structlog.configure(**before)


async def test_lines_about_errors_have_the_id_of_their_request(lines: list[Any]) -> None:
    parts = assembled(telemetry=Telemetry())

    async def defect() -> AsyncIterator[AgentEvent]:
        raise RuntimeError("a mistake of ours")
        yield

    async def cut() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="half")
        raise TierUnavailableError("meta: gone")

    async def late() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="half")
        raise RuntimeError("a late mistake of ours")

    async with in_process(parts.app) as client:
        for name, script, stream in (
            ("early", defect, False),
            ("cut", cut, True),
            ("late", late, True),
        ):
            parts.agent.script = script
            await client.post(
                "/v1/chat/completions",
                json={**QUESTION, "stream": stream},
                headers={"X-Request-ID": name},
            )
        answer = await client.get(
            "/healthz", headers={"X-Request-ID": "no good: \N{SNOWMAN}".encode()}
        )
    assert "no good" not in answer.headers["x-request-id"]
    told = [(line["event"], line["request_id"]) for line in lines if line["event"] != "answered"]
    assert told == [("request failed", "early"), ("stream cut", "cut"), ("stream cut", "late")]
    answered = [line["request_id"] for line in lines if line["event"] == "answered"]
    assert answered == ["early", "cut", "late"]
    assert all("exc_info" in line for line in lines if line["event"] == "request failed")


async def test_a_cut_relay_and_its_end_have_the_id_that_the_endpoint_got(lines: list[Any]) -> None:
    async def cut(_seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE + chunk(b'data: {"choices":[]}\n\n'))
        await writer.drain()
        return False

    async with endpoint() as (double, url), serving(telemetry=Telemetry()) as served:
        served.targets.url = url
        double.script = cut
        async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
            for given in ({"X-Request-ID": "mine"}, {}):
                answer = await client.post(
                    "/v1/chat/completions", json={**BARE, "stream": True}, headers=given
                )
                its = answer.headers["x-request-id"]
                assert double.seen[-1].headers["x-request-id"] == its
                mine = [line["event"] for line in lines if line.get("request_id") == its]
                assert mine == ["stream cut", "relayed"]


async def test_a_model_call_is_logged_under_the_id_that_its_endpoint_got(lines: list[Any]) -> None:
    telemetry = Telemetry()
    async with endpoint() as (double, url):
        client = LlmClient(name="meta", url=url, model="m", observer=telemetry.calls)
        call = ChatCall(messages=QUESTION["messages"], request_id="mine")
        with pytest.raises(TierUnavailableError):
            await client.chat(call)  # the double says no message
        await client.aclose()
    assert double.seen[-1].headers["x-request-id"] == "mine"
    (line,) = [line for line in lines if line["event"] == "model called"]
    assert (line["request_id"], line["tier"]) == ("mine", "meta")
