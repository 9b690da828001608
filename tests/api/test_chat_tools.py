"""Tools that the client brings, and tools of ours that must stay ours."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from chat_kit import ASK, CHAT, DONE, deltas, frames, message, said, script, text, tool
from facade_kit import USAGE, Served

from tiers.chat_contracts import AnswerFinished, ClientCall, ClientCalls

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "d",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
OTHER = {"type": "function", "function": {"name": "other"}}
ONE = ClientCall(call_id="call_a", name="get_weather", arguments='{"city":"Köln"}')
TWO = ClientCall(call_id="call_b", name="other", arguments="")
CALLED = AnswerFinished(reason="tool_calls", usage=USAGE)


async def test_calls_are_streamed_as_openai_streams_them(
    parts: Served, http: httpx.AsyncClient
) -> None:
    parts.agent.script = script(text("Wait."), ClientCalls(calls=(ONE, TWO)), CALLED)
    asked = {**ASK, "tools": [WEATHER, OTHER], "tool_choice": "required"}
    response = await http.post(CHAT, json={**asked, "stream": True})
    *chunks, _ = frames(response.text)
    calls = [
        chunk["choices"][0]["delta"]["tool_calls"]
        for chunk in chunks
        if "tool_calls" in chunk["choices"][0]["delta"]
    ]
    first = {"name": "get_weather", "arguments": ""}
    assert calls == [
        [{"index": 0, "id": "call_a", "type": "function", "function": first}],
        [{"index": 0, "function": {"arguments": '{"city":"Köln"}'}}],
        [
            {
                "index": 1,
                "id": "call_b",
                "type": "function",
                "function": {"name": "other", "arguments": ""},
            }
        ],
    ]
    assert chunks[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    conversation = parts.agent.asked
    assert conversation is not None
    assert conversation.tools[0] == WEATHER
    assert conversation.tools[1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert conversation.tool_choice == "required"


async def test_calls_of_a_whole_answer(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(ClientCalls(calls=(ONE,)), CALLED)
    response = await http.post(CHAT, json={**ASK, "tools": [WEATHER]})
    choice = response.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_a",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'},
            }
        ],
    }


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_of_a_tool_that_the_client_did_not_bring_never_reaches_it(
    parts: Served, http: httpx.AsyncClient, stream: bool
) -> None:
    internal = ClientCall(call_id="x", name="disk_usage", arguments="{}")
    parts.agent.script = script(*tool(path="/"), ClientCalls(calls=(internal,)), CALLED)
    response = await http.post(CHAT, json={**ASK, "tools": [WEATHER], "stream": stream})
    assert '"tool_calls"' not in response.text
    assert '"finish_reason":"stop"' in response.text


async def test_one_call_at_a_time_where_the_client_wants_that(
    parts: Served, http: httpx.AsyncClient
) -> None:
    parts.agent.script = script(ClientCalls(calls=(ONE, TWO)), CALLED)
    asked = {**ASK, "tools": [WEATHER, OTHER], "parallel_tool_calls": False}
    assert len((await message(http, asked))["tool_calls"]) == 1
    assert parts.agent.options == {"parallel_tool_calls": False}


async def test_no_tool_where_the_choice_is_none(parts: Served, http: httpx.AsyncClient) -> None:
    await message(http, {**ASK, "tools": [WEATHER], "tool_choice": "none"})
    assert parts.agent.asked is not None
    assert parts.agent.asked.tools == ()
    named = {"type": "function", "function": {"name": "get_weather"}}
    await message(http, {**ASK, "tools": [WEATHER], "tool_choice": named})
    assert parts.agent.asked.tool_choice == named


async def test_results_of_the_clients_tools_are_passed_on(
    parts: Served, http: httpx.AsyncClient
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    turn = [
        *ASK["messages"],
        {"role": "assistant", "content": None, "tool_calls": [{**call, "index": 0}]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "18 °C"}]},
    ]
    await message(http, {**ASK, "messages": turn, "tools": [WEATHER]})
    assert list(parts.agent.messages) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "18 °C"},
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"tools": "get_weather"}, "tools"),
    ({"tools": [7]}, "tools.0"),
    ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
    ({"tools": [{"type": "function"}]}, "tools.0.function"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
    ({"tools": [WEATHER, WEATHER]}, "tools.1.function.name"),
    ({"tools": [WEATHER] * 129}, "tools"),
    ({"tools": [{**WEATHER, "function": {"name": "x", "parameters": []}}]},
     "tools.0.function.parameters"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "some"}, "tool_choice"),
    ({"tool_choice": 7}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}},
     "tool_choice"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ({"messages": [*ASK["messages"], {"role": "tool", "content": "x"}]},
     "messages.1.tool_call_id"),
    ({"messages": [*ASK["messages"], {"role": "tool", "tool_call_id": "9", "content": "x"}]},
     "messages.1.tool_call_id"),
    ({"messages": [*ASK["messages"], {"role": "assistant", "tool_calls": [{"id": "1"}]}]},
     "messages.1.tool_calls.0.function"),
    ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages.0.role"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "param"), BAD)
async def test_tools_that_are_wrong(
    http: httpx.AsyncClient, more: dict[str, Any], param: str
) -> None:
    response = await http.post(CHAT, json={**ASK, **more})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


async def test_a_schema_nested_without_end(http: httpx.AsyncClient) -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"properties": {"x": deep}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": deep}}]
    response = await http.post(CHAT, json={**ASK, "tools": tools})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "tools.0.function.parameters"


async def test_our_tools_are_told_as_reasoning(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(*tool("6 of 10 GB\nare used", path="/"), text("Fine."), DONE)
    streamed = await deltas(http, ASK)
    reasoning = said(streamed, "reasoning_content")
    assert reasoning == 'Looking up disk_usage(path="/")\n6 of 10 GB are used [0.2 s]\n'
    assert said(streamed) == "Fine."
    assert all(delta for delta in streamed[:-1]), "an empty delta"
    whole = await message(http, ASK)
    assert whole["reasoning_content"] == reasoning
