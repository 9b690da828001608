"""Requests that are wrong in every way: each gets OpenAI's envelope with the parameter's name."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from chat_kit import ASK, CHAT, message
from facade_kit import Served

U = ASK["messages"][0]  # type: ignore[index]
ODD: list[Any] = ["x", 1, 1.5, True, [], {}, [1], {"a": 1}]


def kinds(*right: type) -> list[Any]:
    """Values of every JSON type but these."""
    return [value for value in ODD if type(value) not in right]


TYPES: dict[str, list[Any]] = {
    "model": kinds(str),
    "messages": [*kinds(list), []],
    "stream": kinds(bool),
    "stream_options": kinds(dict),
    "max_tokens": [*kinds(int), 0, -2, 2**31],
    "max_completion_tokens": [*kinds(int), 0],
    "temperature": [*kinds(int, float), -0.1, 2.1],
    "top_p": [*kinds(int, float), 1.1],
    "top_k": kinds(int),
    "min_p": [*kinds(int, float), 2],
    "seed": [*kinds(int), 2**63],
    "stop": [1, 1.5, True, {}, {"a": 1}, ""],
    "n": [*kinds(int), 0, 2, 128, -1],
    "frequency_penalty": [*kinds(int, float), 3],
    "presence_penalty": [*kinds(int, float), -3],
    "repeat_penalty": kinds(int, float),
    "logit_bias": kinds(dict),
    "logprobs": [*kinds(bool), True],
    "top_logprobs": [*kinds(int), 3],
    "response_format": kinds(dict),
    "tools": kinds(list),
    "tool_choice": ["x", 1, 1.5, True, [1], {"a": 1}],
    "parallel_tool_calls": kinds(bool),
    "modalities": [*kinds(list), ["audio"], ["text", "audio"]],
    "reasoning_effort": [*kinds(), "immense"],
    "timings_per_token": kinds(bool),
    "user": kinds(str),
    "metadata": kinds(dict),
    "store": kinds(bool),
    "service_tier": kinds(str),
    "chat_id": kinds(str),
    "triaged": kinds(dict),
}
TABLE = [(name, value) for name, values in TYPES.items() for value in values]


async def test_wrong_types_everywhere(parts: Served, http: httpx.AsyncClient) -> None:
    wrong = []
    for name, value in TABLE:
        if name == "stop" and isinstance(value, str):
            value, name = [value], "stop.0"
        response = await http.post(CHAT, json={**ASK, name.split(".")[0]: value})
        body = response.json()
        shown = (name, value, response.status_code, body)
        if response.status_code != 400 or set(body) != {"error"}:
            wrong.append(shown)
            continue
        error = body["error"]
        right = (
            set(error) == {"message", "type", "param", "code"}
            and error["type"] == "invalid_request_error"
            and (error["param"] or "").split(".")[0] == name.split(".")[0]
            and name.split(".")[0] in error["message"]
            and len(error["message"]) < 500
        )
        if not right:
            wrong.append(shown)
    assert wrong == []
    assert parts.agent.asked is None
    # What was let in by the guard and refused by us is measured; nothing keeps running.
    assert parts.measures.running == 0


@pytest.mark.parametrize("name", TYPES)
async def test_null_is_nothing(http: httpx.AsyncClient, name: str) -> None:
    response = await http.post(CHAT, json={**ASK, name: None})
    assert response.status_code == (400 if name == "messages" else 200), response.text


MESSAGES: list[tuple[Any, str]] = [
    (7, "messages.0"),
    ({}, "messages.0.role"),
    ({"role": 7, "content": "x"}, "messages.0.role"),
    ({"role": "root", "content": "x"}, "messages.0.role"),
    ({"role": "user", "content": 7}, "messages.0.content"),
    ({"role": "user", "content": {"text": "x"}}, "messages.0.content"),
    ({"role": "user", "content": ["x"]}, "messages.0.content.0"),
    ({"role": "user", "content": [{}]}, "messages.0.content.0.type"),
    ({"role": "user", "content": [{"type": "text", "text": 7}]}, "messages.0.content.0.text"),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        "messages.0.content.0",
    ),
    ({"role": "user", "content": [{"type": "input_audio"}]}, "messages.0.content.0"),
    ({"role": "user", "content": [{"type": "file"}]}, "messages.0.content.0"),
    ({"role": "user", "content": "x", "name": 7}, "messages.0.name"),
    ({"role": "assistant", "tool_calls": "x"}, "messages.0.tool_calls"),
    ({"role": "tool", "tool_call_id": 7, "content": "x"}, "messages.0.tool_call_id"),
    ({"role": "user", "content": ""}, "messages"),
    ({"role": "user", "content": " \n"}, "messages"),
    ({"role": "user", "content": []}, "messages"),
]


@pytest.mark.parametrize(("entry", "param"), MESSAGES, ids=lambda value: str(value)[:50])
async def test_messages_that_are_wrong(
    parts: Served, http: httpx.AsyncClient, entry: Any, param: str
) -> None:
    response = await http.post(CHAT, json={**ASK, "messages": [entry]})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param
    assert parts.agent.asked is None


async def test_a_picture_is_refused_when_it_is_sent_and_named_afterwards(
    parts: Served, http: httpx.AsyncClient
) -> None:
    picture = {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        ],
    }
    response = await http.post(CHAT, json={**ASK, "messages": [picture]})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["code"] == "unsupported_content"
    assert "reads text only" in error["message"]
    later = [picture, {"role": "assistant", "content": "cannot see it"}, U]
    await message(http, {**ASK, "messages": later})
    first = parts.agent.messages[0]["content"]
    assert first == "what is this?\n[image_url that cannot be shown here]"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "response_format.type"),
        ({"type": "xml"}, "response_format.type"),
        ({"type": 7}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": []}, "response_format.json_schema"),
        (
            {"type": "json_schema", "json_schema": {"name": "x"}},
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_formats_that_are_wrong(
    http: httpx.AsyncClient, given: dict[str, Any], param: str
) -> None:
    response = await http.post(CHAT, json={**ASK, "response_format": given})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_formats_are_passed_on(parts: Served, http: httpx.AsyncClient) -> None:
    schema = {"name": "a", "strict": True, "schema": {"type": "object"}}
    for given in ({"type": "json_object"}, {"type": "json_schema", "json_schema": schema}):
        await message(http, {**ASK, "response_format": given})
        assert parts.agent.options == {"response_format": given}
    await message(http, {**ASK, "response_format": {"type": "text"}})
    assert parts.agent.options == {}


async def test_all_sampling_parameters_are_passed_on(
    parts: Served, http: httpx.AsyncClient
) -> None:
    given = {
        "temperature": 1, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "seed": -1, "stop": ["a", "b"],
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "repeat_penalty": 1.1,
        "logit_bias": {"15043": -100}, "reasoning_effort": "low", "max_tokens": 7,
    }  # fmt: skip
    await message(http, {**ASK, **given})
    assert parts.agent.options == given


async def test_numbers_of_messages(http: httpx.AsyncClient) -> None:
    turn = [U, {"role": "assistant", "content": "a"}]
    assert (await http.post(CHAT, json={**ASK, "messages": turn * 999 + [U]})).status_code == 200
    response = await http.post(CHAT, json={**ASK, "messages": turn * 1_001})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "messages"


DEEP = b'{"a":' * 900 + b"1" + b"}" * 900


@pytest.mark.parametrize(
    "field", [b"metadata", b"response_format", b"tool_choice", b"conversation", b"unknown"]
)
async def test_nesting(http: httpx.AsyncClient, field: bytes) -> None:
    body = b'{"messages":[{"role":"user","content":"x"}],"' + field + b'":' + DEEP + b"}"
    response = await http.post(CHAT, content=body)
    assert response.status_code == (200 if field == b"unknown" else 400), response.text


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'"\\ud800 x"', 200),
        (b'"\\udc00\\ud800"', 200),
        (b'"\\u0000"', 200),
        (b'"\xff\xfe"', 400),
        (b'"\xed\xa0\x80"', 400),
        (b'"\\x41"', 400),
        (b'"unfinished', 400),
    ],
)
async def test_bytes_that_are_no_text(
    parts: Served, http: httpx.AsyncClient, raw: bytes, status: int
) -> None:
    body = b'{"messages":[{"role":"user","content":' + raw + b"}]}"
    response = await http.post(CHAT, content=body)
    assert response.status_code == status, response.text
    if status == 200:
        json.dumps(parts.agent.messages).encode()
        assert "\0" not in parts.agent.messages[0]["content"]
        parts.agent.messages[0]["content"].encode()
