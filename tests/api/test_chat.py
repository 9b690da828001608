"""The chat endpoint over a real socket: framing, errors, and clients that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from chat_kit import ASK, frames
from facade_kit import USAGE, Served, eventually, said

from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from tiers.contracts import ToolResult, ToolTrace
from tiers.errors import BadAnswerError, CaseTooLargeError, TierRefusedError, TierUnavailableError


async def test_stream_is_framed_as_openai_frames_it(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/v1/chat/completions",
        json={**ASK, "stream": True, "stream_options": {"include_usage": True}},
    )
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in response.headers
    *chunks, done = frames(response.text)
    assert done == "[DONE]"
    assert [c["choices"][0]["delta"] if c["choices"] else None for c in chunks] == [
        {"role": "assistant", "content": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
        None,
    ]
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None, None, None, "stop"]
    assert [c["usage"] for c in chunks[:-1]] == [None] * 4
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10
    }  # fmt: skip
    assert len({c["id"] for c in chunks}) == 1
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}


async def test_no_usage_chunk_unless_asked(http: httpx.AsyncClient) -> None:
    response = await http.post("/chat/completions", json={**ASK, "stream": True})
    chunks = frames(response.text)[:-1]
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


async def test_no_empty_delta_and_tools_are_told_as_reasoning(
    parts: Served, http: httpx.AsyncClient
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="")
        yield ThinkingDelta(text="")
        yield ThinkingDelta(text="hm\n\ndata: x")
        yield ToolStarted(call_id="1", name="disk_usage", arguments={"path": "/"})
        result = ToolResult(ok=False, summary="no")
        trace = ToolTrace(name="disk_usage", arguments={}, result=result, seconds=0.1)
        yield ToolFinished(call_id="1", trace=trace)
        yield TextDelta(text="half \ud83d a pair")
        yield AnswerFinished(reason="budget", usage=USAGE)

    parts.agent.script = script
    streamed = frames((await http.post("/v1/chat/completions", json={**ASK, "stream": True})).text)
    deltas = [c["choices"][0]["delta"] for c in streamed[:-1]]
    assert deltas[0] == {"role": "assistant", "content": None}
    assert all(delta for delta in deltas[:-1]), "an empty delta in the middle"
    assert deltas[1] == {"reasoning_content": "hm\n\ndata: x"}
    assert "tool_calls" not in json.dumps(deltas)
    assert deltas[-2] == {"content": "half \ufffd a pair"}
    assert streamed[-2]["choices"][0]["finish_reason"] == "length"
    whole = (await http.post("/v1/chat/completions", json=ASK)).json()
    message = whole["choices"][0]["message"]
    assert message["content"] == "half \ufffd a pair"
    assert 'Looking up disk_usage(path="/")' in message["reasoning_content"]
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["usage"]["total_tokens"] == 10


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (TierUnavailableError("the model loads", retry_after=2.4), 503, "tier_unavailable"),
        (CaseTooLargeError("too long", excess_tokens=5), 400, "context_length_exceeded"),
        (TierRefusedError("no"), 400, "refused_by_model"),
        (BadAnswerError("odd", problem="p", answer="a"), 502, "bad_answer"),
        (RuntimeError("secret detail"), 500, "defect"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("late", [True, False])
async def test_errors_of_the_agent(
    parts: Served,
    http: httpx.AsyncClient,
    error: Exception,
    status: int,
    code: str,
    stream: bool,
    late: bool,
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        if late:
            yield TextDelta(text="so far")
        raise error

    parts.agent.script = script
    response = await http.post("/v1/chat/completions", json={**ASK, "stream": stream})
    if stream and late:
        assert response.status_code == 200
        *_, cut, done = frames(response.text)
        assert done == "[DONE]"
        body = cut
    else:
        assert response.status_code == status
        body = response.json()
        if status == 503:
            assert response.headers["retry-after"] == "2"
    assert body["error"]["code"] == code
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert "secret detail" not in response.text
    assert parts.agent.running == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_an_agent_that_says_nothing_at_all(
    parts: Served, http: httpx.AsyncClient, stream: bool
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        return
        yield

    parts.agent.script = script
    response = await http.post("/v1/chat/completions", json={**ASK, "stream": stream})
    assert response.status_code == 200
    if stream:
        assert frames(response.text)[-2]["choices"][0]["finish_reason"] == "length"
    else:
        assert response.json()["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("spoken", [0, 1])
async def test_a_client_that_goes_away_cancels_the_agent(
    served: Served, stream: bool, spoken: int
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        for _ in range(spoken):
            yield TextDelta(text="wait")
        await asyncio.sleep(60)

    served.agent.script = script
    body = json.dumps({**ASK, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head.encode() + b"\r\nContent-Type: application/json\r\n\r\n" + body)
    await eventually(lambda: served.agent.running == 1)
    if stream and spoken:
        assert b"200 OK" in await reader.read(1_000)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(served.agent.ended.wait(), 1.0)
    assert served.agent.running == 0


async def test_a_client_that_goes_away_in_a_flood(served: Served) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        while True:
            yield TextDelta(text="x" * 10_000)
            await asyncio.sleep(0)

    served.agent.script = script
    body = json.dumps({**ASK, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await reader.read(100)
    await asyncio.sleep(0.2)  # nobody reads: the agent is held back
    writer.transport.abort()
    await asyncio.wait_for(served.agent.ended.wait(), 2.0)


async def test_one_task_owns_the_agent(parts: Served, http: httpx.AsyncClient) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        async with asyncio.timeout(5):  # belongs to the task that entered it
            async for event in said("a", "b"):
                await asyncio.sleep(0)
                yield event

    parts.agent.script = script
    response = await http.post("/v1/chat/completions", json={**ASK, "stream": True})
    assert frames(response.text)[-1] == "[DONE]"
    assert len(parts.agent.owner) == 1


async def test_stopping_ends_a_stream_within_its_grace(served: Served) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="on")
        await asyncio.sleep(1)
        async for event in said("off"):
            yield event

    served.agent.script = script
    async with (
        httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
        client.stream("POST", "/v1/chat/completions", json={**ASK, "stream": True}) as response,
    ):
        assert served.facade is not None
        served.facade.stop()
        body = "".join([part async for part in response.aiter_text()])
    assert frames(body)[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/v1/chat/completions", ASK),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/responses", {"input": "hi"}),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_stopping_tells_whoever_still_waits(
    served: Served, path: str, ask: dict[str, Any], stream: bool
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="on")
        await asyncio.sleep(60)

    served.agent.script = script
    assert served.facade is not None
    served.facade._server.config.timeout_graceful_shutdown = 0
    async with (
        httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        asking = group.create_task(client.post(path, json={**ask, "stream": stream}))
        await eventually(lambda: served.agent.running == 1)
        await asyncio.sleep(0.05)
        served.facade.stop()
    response = asking.result()
    if not stream:
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "stopping"
        assert response.headers["retry-after"] == "5"
    elif path == "/v1/responses":
        last = json.loads(response.text.strip().rpartition("data: ")[2])
        assert last["type"] == "response.failed"
        assert "ask again" in last["response"]["error"]["message"]
        assert last["response"]["store"] is False, "it is not kept"
    else:
        *_, error, done = frames(response.text)
        assert done == "[DONE]"
        assert error["error"]["code"] == "stopping"


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [], "tool_choice": "auto", "user": "u", "logit_bias": {}, "service_tier": "auto"},
        {"frequency_penalty": 0, "presence_penalty": 1.5, "logprobs": None, "metadata": {"a": 1}},
        {"functions": [], "function_call": "none", "logprobs": False, "store": True, "n": 1},
        {"no_such": {"parameter": [1]}, "cache_prompt": True, "top_k": 40, "repeat_penalty": 1.1},
        {"n": None, "stream": None, "stream_options": None, "max_tokens": None, "model": None},
        {"stream_options": {"include_usage": None, "include_obfuscation": False}},
        {"max_tokens": -1, "stop": [], "seed": 2**63 - 1, "top_p": 0},
        {"messages": [{"role": "developer", "content": "d"}, *ASK["messages"]]},
    ],
)
async def test_what_clients_send_besides_is_tolerated(
    parts: Served, http: httpx.AsyncClient, more: dict[str, Any]
) -> None:
    response = await http.post("/v1/chat/completions", json={**ASK, **more})
    assert response.status_code == 200, response.text
    assert all(message["role"] in ("system", "user") for message in parts.agent.messages)
    assert "tools" not in parts.agent.options


async def test_options_are_handed_on(parts: Served, http: httpx.AsyncClient) -> None:
    asked = {"temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["\n"], "max_tokens": 9}
    await http.post("/v1/chat/completions", json={**ASK, **asked, "max_completion_tokens": 8})
    assert parts.agent.options == {**asked, "stop": ["\n"], "max_tokens": 8}


async def test_parts_of_content(parts: Served, http: httpx.AsyncClient) -> None:
    content = [
        {"type": "text", "text": "a\0"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
    ]
    messages = [{"role": "user", "content": content}]
    response = await http.post("/v1/chat/completions", json={**ASK, "messages": messages})
    assert response.status_code == 200
    assert parts.agent.messages == [{"role": "user", "content": "a\ufffd\nb"}]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "triaged"}, "messages"),
        ({**ASK, "messages": []}, "messages"),
        ({**ASK, "messages": "hi"}, "messages"),
        ({**ASK, "messages": [{"role": "user"}]}, "messages"),
        ({**ASK, "messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({**ASK, "messages": [{"role": "root", "content": "x"}]}, "messages.0.role"),
        ({**ASK, "temperature": 3}, "temperature"),
        ({**ASK, "seed": 2**64}, "seed"),
        ({**ASK, "max_tokens": 0}, "max_tokens"),
        ({**ASK, "n": 2}, "n"),
        ({**ASK, "stream": "maybe"}, "stream"),
    ],
)
async def test_requests_that_are_wrong(
    http: httpx.AsyncClient, body: dict[str, Any], param: str | None
) -> None:
    response = await http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]


async def test_the_official_client(served: Served) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.AsyncClient(trust_env=False),
    ) as client:
        models = [model.id async for model in await client.models.list()]
        assert models == ["triaged", "tier/trigger", "tier/review", "tier/meta"]
        assert (await client.models.retrieve("triaged")).owned_by == "triaged"
        messages: Any = ASK["messages"]
        whole = await client.chat.completions.create(model="triaged", messages=messages)
        assert whole.choices[0].message.content == "Hello"
        assert whole.usage is not None
        assert whole.usage.total_tokens == 10
        text, usage = "", None
        async for chunk in await client.chat.completions.create(
            model="triaged",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
        ):
            for choice in chunk.choices:
                text += choice.delta.content or ""
            usage = chunk.usage or usage
        assert text == "Hello"
        assert usage is not None
        with pytest.raises(openai.NotFoundError, match="There is no model 'gpt'"):
            await client.chat.completions.create(model="gpt", messages=messages)
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("tier/other")
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="triaged", messages=[])

        async def down() -> AsyncIterator[AgentEvent]:
            raise TierUnavailableError("loading")
            yield

        served.agent.script = down
        with pytest.raises(openai.InternalServerError, match="loading"):
            await client.chat.completions.create(model="triaged", messages=messages)

        async def cut() -> AsyncIterator[AgentEvent]:
            yield TextDelta(text="so far")
            raise TierUnavailableError("it died")

        served.agent.script = cut
        stream = await client.chat.completions.create(
            model="triaged", messages=messages, stream=True
        )
        with pytest.raises(openai.APIError, match="it died"):
            async for _ in stream:
                pass
