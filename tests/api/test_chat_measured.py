"""What is measured and logged of an answer, how errors are told, and clients that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from chat_kit import ASK, CHAT, DONE, frames, script, text, tool
from facade_kit import PROPOSAL, Served, assembled, eventually, in_process

from api.openai.answering import Answering
from api.openai.delivery import deliver
from api.openai.metering import Asked, Meter
from api.ports_chat import ChatOptions
from tiers.chat_contracts import AgentEvent, Conversation, Errand, ProposalMade, TextDelta
from tiers.contracts import Usage
from tiers.errors import QueueFullError, TierUnavailableError

SECRET = "my password is hunter2"
PRIVATE = {"model": "triaged", "messages": [{"role": "user", "content": SECRET}]}


async def test_a_record_of_every_answer(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(
        text("a"), text("b"), *tool(), text("c"), ProposalMade(proposal=PROPOSAL), DONE
    )
    for stream in (True, False):
        await http.post(CHAT, json={**ASK, "stream": stream})
        record = parts.measures.records[-1]
        assert (record.endpoint, record.model, record.caller) == ("chat", "triaged", "local")
        assert (record.stream, record.status, record.outcome) == (stream, 200, "stop")
        assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 3, 4)
        assert (record.tool_calls, record.client_calls, record.proposals) == (1, 0, 1)
        assert record.first_seconds is not None
        assert 0 <= record.first_seconds <= record.seconds
        assert record.request_id
    # Between b and c a tool ran: that is no gap of the model's.
    assert len(parts.measures.gaps) == 2
    assert len(parts.measures.first) == 2
    assert parts.measures.running == 0


def test_times_by_a_clock(parts: Served) -> None:
    now = [10.0]
    asked = Asked(endpoint="chat", model="m", caller="c", request_id="r", stream=True)
    spent: list[tuple[int, int]] = []
    meter = Meter(
        asked=asked,
        observer=parts.measures,
        spend=lambda *tokens: spent.append(tokens),
        clock=lambda: now[0],
    )
    for at in (12.0, 12.5, 13.5):
        now[0] = at
        meter.output("x")
    meter.pause()
    now[0] = 20.0
    meter.output("y")
    now[0] = 21.0
    meter.ended(outcome="gone")
    meter.ended(outcome="stop")
    (record,) = parts.measures.records
    assert parts.measures.first == [2.0]
    assert parts.measures.gaps == [0.5, 1.0]
    assert (record.first_seconds, record.gap_seconds, record.longest_gap_seconds) == (2, 0.75, 1)
    assert (record.seconds, record.outcome) == (11.0, "gone")
    assert spent == [(0, 4)], "of an answer that was cut, what came out counts"


@pytest.mark.parametrize("prompts", [True, False])
async def test_words_are_logged_only_when_asked(prompts: bool) -> None:
    parts = assembled(options=ChatOptions(log_prompts=prompts))
    parts.agent.script = script(*tool(SECRET), text("It is hunter2."), DONE)
    with structlog.testing.capture_logs() as logs:
        async with in_process(parts.app) as http:
            for stream in (True, False):
                await http.post(
                    CHAT,
                    json={**PRIVATE, "stream": stream},
                    headers={"Authorization": "Bearer hunter2"},
                )
            await http.post(CHAT, json={**PRIVATE, "n": 2})
    answered = [entry for entry in logs if entry["event"] == "answered"]
    assert len(answered) == 3
    assert answered[0]["completion_tokens"] == 3
    assert answered[0]["request_id"]
    assert answered[0]["tool_calls"] == 1
    assert (answered[2]["status"], answered[2]["outcome"]) == (400, "invalid_value")
    if prompts:
        assert answered[0]["question"] == SECRET
        assert answered[0]["answer"] == "It is hunter2."
    else:
        assert "hunter2" not in repr(logs)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_full_queue_a_loading_model_and_a_tier_that_is_down(
    parts: Served, http: httpx.AsyncClient, stream: bool
) -> None:
    async def told(error: Exception) -> httpx.Response:
        async def run() -> AsyncIterator[AgentEvent]:
            raise error
            yield

        parts.agent.script = run
        return await http.post(CHAT, json={**ASK, "stream": stream})

    full = await told(QueueFullError("meta: 4 calls run and 64 wait already", retry_after=5))
    assert full.status_code == 429
    assert full.headers["retry-after"] == "5"
    assert full.json()["error"]["type"] == "rate_limit_error"
    assert full.json()["error"]["code"] == "queue_full"
    parts.targets.changes = {"loading": True, "progress": 0.42, "retry_after": 7.0}
    loading = await told(TierUnavailableError("meta: 503", retry_after=1))
    assert loading.status_code == 503
    assert loading.headers["retry-after"] == "7"
    assert "tier meta is being loaded, 42% of it" in loading.json()["error"]["message"]
    # A full queue is told as such even while some model loads.
    assert (await told(QueueFullError("full", retry_after=5))).status_code == 429
    parts.targets.changes = {}
    down = await told(TierUnavailableError("meta: nothing answers at http://x", retry_after=2))
    assert down.status_code == 503
    assert "meta: nothing answers" in down.json()["error"]["message"]
    outcomes = [record.outcome for record in parts.measures.records]
    assert outcomes == ["queue_full", "tier_unavailable", "queue_full", "tier_unavailable"]
    assert [r.status for r in parts.measures.records] == [429, 503, 429, 503]


async def test_timings_when_asked(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(text("x"), DONE)

    async def chunks(**more: Any) -> list[Any]:
        response = await http.post(CHAT, json={**ASK, "stream": True, **more})
        return frames(response.text)[:-1]

    assert "timings" not in json.dumps(await chunks())
    alone = (await chunks(timings_per_token=True))[-1]
    assert alone["choices"][0]["finish_reason"] == "stop"
    assert alone["timings"]["prompt_n"] == 3
    last = (await chunks(stream_options={"include_usage": True}))[-1]
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
    assert last["timings"] == {
        "cache_n": 4,
        "prompt_n": 3,
        "prompt_ms": 500.0,
        "prompt_per_token_ms": pytest.approx(500 / 3),
        "prompt_per_second": 6.0,
        "predicted_n": 3,
        "predicted_ms": 250.0,
        "predicted_per_token_ms": pytest.approx(250 / 3),
        "predicted_per_second": 12.0,
    }
    assert (await http.post(CHAT, json=ASK)).json()["timings"]["cache_n"] == 4


class Slow:
    """An agent that waits for ever at a chosen point of its answer."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> AsyncIterator[AgentEvent]:
        return self._run()

    async def _run(self) -> AsyncIterator[AgentEvent]:
        events = [text("a"), *tool(), ProposalMade(proposal=PROPOSAL), text("b"), DONE]
        for number, event in enumerate(events):
            if number == self.at:
                await asyncio.sleep(60)
            yield event


async def send(served: Served, body: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    raw = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n"
    writer.write(head.encode() + raw)
    return reader, writer


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("at", range(6))
async def test_a_client_that_goes_away_at_any_point(served: Served, at: int, stream: bool) -> None:
    served.agent.script = Slow(at)
    _, writer = await send(served, {**ASK, "stream": stream})
    await eventually(lambda: served.agent.running == 1)
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await asyncio.wait_for(served.agent.ended.wait(), 1.0)
    await eventually(lambda: served.measures.running == 0)
    assert served.measures.records[-1].outcome == "gone"


async def test_a_client_that_goes_away_cancels_the_clerk_and_the_approval(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def wait(*_: Any, **__: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    class Waits:
        async def write(
            self, conversation: Conversation, errand: Errand = Errand.OTHER
        ) -> tuple[str, Usage]:
            await wait()
            raise AssertionError

    monkeypatch.setattr(served.clerk, "write", Waits().write)
    monkeypatch.setattr(served.proposals, "answer", wait)
    prompt = "### Task:\nGenerate 1-3 broad tags\n<chat_history>\n</chat_history>"
    for words in (prompt, "approve K7F3"):
        ended.clear()
        body = {**ASK, "messages": [{"role": "user", "content": words}]}
        _, writer = await send(served, body)
        await eventually(lambda: served.measures.running == 1)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 1.0)
        await eventually(lambda: served.measures.running == 0)


async def test_a_client_that_does_not_read_holds_the_model_back(served: Served) -> None:
    made = 0

    async def flood() -> AsyncIterator[AgentEvent]:
        nonlocal made
        while True:
            made += 1
            yield TextDelta(text="x" * 10_000)
            await asyncio.sleep(0)

    served.agent.script = flood
    _, writer = await send(served, {**ASK, "stream": True})
    await eventually(lambda: made > 64)
    before = -1
    async with asyncio.timeout(10):
        while before != made:
            before = made
            await asyncio.sleep(0.3)
    # Sockets hold some megabytes, we hold the rest: 64 events and no more.
    assert made * 10_000 < 30_000_000
    writer.transport.abort()
    await asyncio.wait_for(served.agent.ended.wait(), 2.0)


async def test_a_stream_begins_while_the_model_is_still_silent(served: Served) -> None:
    """Whoever waits sees that something is there; an error that comes later is told in a frame."""
    begun: list[bool] = []

    async def late() -> AsyncIterator[AgentEvent]:
        await asyncio.sleep(0.3)
        raise TierUnavailableError("meta: it died")
        yield

    answering = Answering(late())
    begun.append(await answering.begun(seconds=0.05))
    with pytest.raises(TierUnavailableError):
        await answering.begun(seconds=5)
    await answering.close()
    assert begun == [False]
    assert deliver.__kwdefaults__ is not None
    assert deliver.__kwdefaults__["patience"] < 15, "before proxies and clients give up"


async def test_events_are_not_lost_by_waiting_for_the_first() -> None:
    async def run() -> AsyncIterator[AgentEvent]:
        yield text("a")
        await asyncio.sleep(0.1)
        yield text("b")
        raise TimeoutError

    answering = Answering(run())
    assert await answering.begun(seconds=1)
    assert await answering.begun(seconds=1)
    assert await answering.next() == text("a")
    assert not await answering.begun(seconds=0.01)
    assert await answering.next() == text("b")
    with pytest.raises(TimeoutError):  # the agent's own is no lack of patience
        await answering.begun(seconds=1)
    await answering.close()
