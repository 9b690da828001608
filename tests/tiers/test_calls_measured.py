"""What an observer is told of calls of an endpoint and of tools, however they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from scripted_endpoint import Reply, ScriptedEndpoint, chat_reply, json_reply, stream_reply

from tiers.contracts import ToolResult, ToolSpec
from tiers.errors import QueueFullError, TierError, TierUnavailableError
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall
from tiers.measured_tools import MeasuredToolbox
from tiers.observing import CallRecord
from tiers.runtime.liveness import parse_metrics

HELLO = ChatCall(
    messages=[{"role": "user", "content": "hello"}], max_tokens=8, request_id="id-of-request"
)


class Kept:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[CallRecord] = []
        self.tools: list[tuple[str, str]] = []

    def called(self, record: CallRecord) -> None:
        self.calls.append(record)

    def used(self, *, name: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.tools.append((name, outcome))


@contextlib.asynccontextmanager
async def measured(
    *replies: Reply, **more: Any
) -> AsyncIterator[tuple[LlmClient, Kept, ScriptedEndpoint]]:
    kept = Kept()
    endpoint = ScriptedEndpoint()
    endpoint.script.extend(replies)
    await endpoint.start()
    client = LlmClient(name="review", url=endpoint.url, observer=kept, **more)
    try:
        yield client, kept, endpoint
    finally:
        await client.aclose()
        await endpoint.stop()


async def test_an_answered_call_is_told_with_its_cost_and_its_request() -> None:
    async with measured(chat_reply("hi"), stream_reply("hello")) as (client, kept, endpoint):
        await client.chat(HELLO)
        async for _ in client.stream(HELLO):
            pass
    for record in kept.calls:
        assert (record.tier, record.operation, record.error) == ("review", "chat", "")
        assert (record.prompt_tokens, record.completion_tokens) == (10, 5)
        assert record.request_id == "id-of-request"
        assert 0 <= record.waited_seconds < record.seconds
    assert len(kept.calls) == 2
    ids = [seen["x-request-id"] for seen in endpoint.headers if "x-request-id" in seen]
    assert ids == ["id-of-request"] * len(endpoint.calls) == ["id-of-request"] * 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": {"message": "no"}}, status=400), "refused"),
        (json_reply({"error": {"message": "later"}}, status=503), "unavailable"),
        (
            json_reply(
                {"error": {"message": "long", "type": "exceed_context_size_error"}}, status=400
            ),
            "context_length_exceeded",
        ),
        (Reply(body=b"x", cut=True), "unavailable"),
    ],
)
async def test_a_failed_call_is_told_with_its_kind(reply: Reply, error: str) -> None:
    async with measured(reply) as (client, kept, _):
        with pytest.raises(TierError):
            await client.chat(HELLO)
    assert [record.error for record in kept.calls] == [error]


async def test_waiting_for_a_slot_is_measured_and_a_full_queue_named() -> None:
    async with measured(chat_reply("a"), chat_reply("b"), parallel=1, queue=1) as (client, kept, _):
        await client.info()
        async with client.admission.slot():
            waiting = asyncio.create_task(client.chat(HELLO))
            async with asyncio.timeout(5):
                while not client.admission.waiting:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            with pytest.raises(QueueFullError):
                await client.chat(HELLO)
        await waiting
        async with client.admission.slot():
            with pytest.raises(TierUnavailableError):
                await client.chat(HELLO, timeout=0.5)
    full, waited, in_vain = kept.calls
    assert (full.error, waited.error, in_vain.error) == ("queue_full", "", "unavailable")
    assert full.waited_seconds < waited.waited_seconds
    assert waited.seconds >= waited.waited_seconds >= 0.1
    assert in_vain.waited_seconds >= 0.1


async def test_a_stream_that_nobody_reads_on_was_cancelled() -> None:
    async with measured(stream_reply("hello")) as (client, kept, _):
        stream = client.stream(HELLO)
        await anext(stream)
        await stream.aclose()
    assert [record.error for record in kept.calls] == ["cancelled"]


# --- tools


class Tools:
    """One that works, one that fails, one that never ends."""

    def specs(self) -> Sequence[ToolSpec]:
        names = ("works", "fails", "hangs")
        return [ToolSpec(name=name, description="", parameters={}) for name in names]

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        if name == "hangs":
            await asyncio.sleep(60)
        return ToolResult(ok=name == "works", summary=name)


async def test_calls_of_tools_are_told_with_their_outcome() -> None:
    kept = Kept()
    toolbox = MeasuredToolbox(toolbox=Tools(), observer=kept)
    assert [spec.name for spec in toolbox.specs()] == ["works", "fails", "hangs"]
    assert (await toolbox.call(name="works", arguments={})).ok
    assert not (await toolbox.call(name="fails", arguments={})).ok
    await toolbox.call(name="rm -rf", arguments={})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await toolbox.call(name="hangs", arguments={})
    assert kept.tools == [
        ("works", "ok"),
        ("fails", "failed"),
        ("rm -rf", "unknown"),
        ("hangs", "cancelled"),
    ]


# --- llama-server's own counters


def test_a_servers_counters_are_read_by_our_names() -> None:
    text = """\
llamacpp:prompt_tokens_total 12
llamacpp:prompt_tokens_cached_total 7
llamacpp:prompt_seconds_total 0.878012
llamacpp:tokens_predicted_total 8
llamacpp:tokens_predicted_seconds_total 5.252
llamacpp:n_decode_total 9
llamacpp:requests_processing 1
llamacpp:requests_deferred 2
llamacpp:predicted_tokens_seconds 1.33283
"""
    work = parse_metrics(text, at=0.0).work
    assert (work.prompt_tokens, work.cached_tokens, work.prompt_seconds) == (12, 7, 0.878012)
    assert (work.output_tokens, work.output_seconds, work.decodes) == (8, 5.252, 9)
    assert (work.running, work.waiting) == (1, 2)
    assert (work.drafted_tokens, work.accepted_tokens) == (0, 0)
