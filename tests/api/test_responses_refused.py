"""Requests of the Responses API that are wrong or hostile: refused by name, and never a defect."""

from __future__ import annotations

from typing import Any

import httpx
from facade_kit import Served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from responses_stream import checked_response

from api.openai.responses.requests import ResponsesRequest

ASK: dict[str, Any] = {"model": "triaged", "input": "hi"}
TOOL = {"type": "function", "name": "f"}


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [fields]}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": 7}, "input"),
    ({"input": {"role": "user"}}, "input"),
    ({"input": ["hi"]}, "input.0"),
    ({"input": [None]}, "input.0"),
    ({"input": [{"role": "user", "content": "x"}] * 2_001}, "input"),
    (item(role="root", content="x"), "input.0.role"),
    (item(role=["user"], content="x"), "input.0.role"),
    (item(role="user"), "input.0.content"),
    (item(role="user", content=7), "input.0.content"),
    (item(role="user", content=["x"]), "input.0.content.0"),
    (item(role="user", content=[{"type": "video"}]), "input.0.content.0.type"),
    (item(role="user", content=[{"type": ["x"]}]), "input.0.content.0.type"),
    (item(role="user", content=[{"type": "input_text"}]), "input.0.content.0.text"),
    (
        item(role="user", content=[{"type": "refusal", "refusal": "x"}]),
        "input.0.content.0.type",
    ),
    (item(role="assistant", content=[{"type": "input_image"}]), "input.0.content.0.type"),
    (item(role="user", content=[{"type": "input_image"}]), "input.0.content.0"),
    (item(role="user", content="x", id=7), "input.0.id"),
    (item(role="user", content="x", id="a b"), "input.0.id"),
    (item(role="user", content="x", status="odd"), "input.0.status"),
    (item(type="web_search_call", id="x"), "input.0.type"),
    (item(type={"a": 1}), "input.0.type"),
    (item(type="item_reference"), "input.0.id"),
    (item(), "input.0.id"),
    (item(type="function_call", call_id="c", name="f"), "input.0.arguments"),
    (item(type="function_call", call_id="c", name="", arguments="{}"), "input.0.name"),
    (item(type="function_call", call_id="c" * 201, name="f", arguments=""), "input.0.call_id"),
    (item(type="function_call_output", call_id="c"), "input.0.output"),
    (item(type="function_call_output", call_id="c", output={"a": 1}), "input.0.output"),
    (item(type="function_call_output", output="x"), "input.0.call_id"),
    (item(type="reasoning", summary="x"), "input.0.summary"),
    (item(type="reasoning", summary=[{"text": 7}]), "input.0.summary.0.text"),
    (item(type="reasoning", summary=[], encrypted_content=7), "input.0.encrypted_content"),
    ({"model": 7}, "model"),
    ({"instructions": 7}, "instructions"),
    ({"instructions": ["x"]}, "instructions"),
    ({"previous_response_id": 7}, "previous_response_id"),
    ({"previous_response_id": ""}, "previous_response_id"),
    ({"previous_response_id": "x" * 201}, "previous_response_id"),
    ({"previous_response_id": "resp_unknown"}, "previous_response_id"),
    ({"store": "no"}, "store"),
    ({"stream": "yes"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"max_output_tokens": "9"}, "max_output_tokens"),
    ({"max_output_tokens": 2**31}, "max_output_tokens"),
    ({"max_output_tokens": 1.5}, "max_output_tokens"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": -1}, "top_p"),
    ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ({"truncation": "some"}, "truncation"),
    ({"include": "all"}, "include"),
    ({"include": [7]}, "include.0"),
    ({"user": 7}, "user"),
    ({"reasoning": "hard"}, "reasoning"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    ({"text": "json"}, "text"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"text": {"format": {"type": "json_schema", "schema": 7}}}, "text.format.schema"),
    ({"tools": {}}, "tools"),
    ({"tools": [7]}, "tools.0"),
    ({"tools": [{}]}, "tools.0.type"),
    ({"tools": [TOOL] * 129}, "tools"),
    ({"tools": [TOOL, TOOL]}, "tools.1.name"),
    ({"tools": [{"type": "function"}]}, "tools.0.name"),
    ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.name"),
    ({"tools": [{**TOOL, "name": "x" * 129}]}, "tools.0.name"),
    ({"tools": [{**TOOL, "parameters": "x"}]}, "tools.0.parameters"),
    ({"tools": [{**TOOL, "description": 7}]}, "tools.0.description"),
    ({"tools": [{**TOOL, "strict": "x"}]}, "tools.0.strict"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"tool_choice": 7}, "tool_choice"),
    ({"tool_choice": ["auto"]}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "name": "g"}, "tools": [TOOL]}, "tool_choice"),
    ({"tool_choice": {"type": "function", "name": ["f"]}, "tools": [TOOL]}, "tool_choice"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
    ({"tool_choice": {"type": "allowed_tools", "tools": "x"}}, "tool_choice"),
]


async def test_requests_that_are_wrong(parts: Served, http: httpx.AsyncClient) -> None:
    for changes, param in WRONG:
        for stream in (False, True):
            body = {**ASK, "stream": stream, **changes}
            response = await http.post("/v1/responses", json=body)
            assert response.status_code == 400, (str(changes)[:200], response.text)
            error = response.json()["error"]
            assert error["type"] == "invalid_request_error"
            assert error["param"] == param, (str(changes)[:200], error)
            assert len(error["message"]) > len(param)
    assert parts.agent.asked is None
    assert not parts.responses.kept


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"background": True}, "background"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"conversation": {"id": "conv_1"}}, "conversation"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    *(
        ({"tools": [{"type": kind}]}, "tools.0.type")
        for kind in ("web_search", "file_search", "mcp", "custom", "code_interpreter", "shell")
    ),
]


async def test_what_triaged_does_not_do_is_said(http: httpx.AsyncClient) -> None:
    for changes, param in UNSUPPORTED:
        response = await http.post("/v1/responses", json={**ASK, **changes})
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["param"], error["code"]) == (param, "unsupported_parameter")
        assert len(error["message"]) > 30


BESIDES: list[dict[str, Any]] = [
    {"stream_options": {"include_obfuscation": True}, "service_tier": "flex"},
    {"include": ["reasoning.encrypted_content", "something.new"], "top_logprobs": 5},
    {"prompt_cache_key": "k", "safety_identifier": "s", "user": "u", "max_tool_calls": 3},
    {"truncation": "disabled", "context_management": [{"type": "compaction"}]},
    {"tools": None, "metadata": None, "text": None, "reasoning": None, "store": None},
    {"stream": None, "parallel_tool_calls": None, "background": None, "include": None},
    {"unheard_of": {"a": [1]}, "seed": 3, "n": 2, "moderation": None},
    {"input": [{"role": "user", "content": "x", "phase": "commentary", "odd": 1}]},
    {"input": [{"type": "message", "id": "", "role": "user", "content": "x"}]},
    {
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]},
            {"role": "assistant", "content": "I see no picture."},
            {"role": "user", "content": "then not"},
        ]
    },
    {"input": "a\0b \U0001f600"},
    {"text": {"format": {"type": "text"}}},
    {"text": {"format": {"type": "json_object"}}},
]


async def test_what_clients_send_besides_is_tolerated(
    parts: Served, http: httpx.AsyncClient
) -> None:
    for more in BESIDES:
        response = await http.post("/v1/responses", json={**ASK, **more})
        assert response.status_code == 200, response.text
        checked_response(response.json())
        assert "\0" not in str(parts.agent.messages)


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


async def test_deep_nesting(http: httpx.AsyncClient) -> None:
    for depth in (100, 900):
        deep = nested(depth)
        image = {"type": "input_image", "x": deep}
        form = {"type": "json_schema", "name": "n", "schema": {"x": deep}}
        changed: list[dict[str, Any]] = [
            {"input": [{"role": "user", "content": [image]}]},
            {"tools": [{**TOOL, "parameters": {"x": deep}}]},
            {"text": {"format": form}},
            {"tool_choice": {"x": deep}},
            {"metadata": {"x": deep}},
            {"conversation": deep},
        ]
        for changes in changed:
            response = await http.post("/v1/responses", json={**ASK, **changes})
            assert response.status_code == 400, response.text
            assert response.json()["error"]["type"] == "invalid_request_error"


async def test_bodies_that_are_no_json(http: httpx.AsyncClient) -> None:
    for content in (b"", b"{", b"[" * 100_000, b"[]", b"null", b'"x"', b"\xff", b'{"input": NaN}'):
        response = await http.post("/v1/responses", content=content)
        assert response.status_code == 400, content
        assert response.json()["error"]["message"]


async def test_other_methods_and_paths(http: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/v1/responses", 405),
        ("PUT", "/v1/responses/resp_x", 405),
        ("GET", "/v1/responses/resp_x", 404),
        ("DELETE", "/v1/responses/resp_x", 404),
        ("GET", "/v1/responses/resp_x/input_items", 404),
        ("POST", "/v1/responses/resp_x/cancel", 404),
        ("GET", "/v1/responses/" + "x" * 5_000, 404),
        ("GET", "/v1/responses/%00", 404),
        ("GET", "/v1/responses/resp_x?stream=true", 400),
        ("GET", "/v1/responses/resp_x/input_items?limit=0", 400),
        ("GET", "/v1/responses/resp_x/input_items?limit=101", 400),
        ("GET", "/v1/responses/resp_x/input_items?order=odd", 400),
    ):
        response = await http.request(method, path)
        assert response.status_code == status, (method, path, response.text)
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
_FIELDS = sorted(ResponsesRequest.model_fields)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(body=st.dictionaries(st.sampled_from(_FIELDS), _json, max_size=4))
async def test_no_body_is_a_defect(
    parts: Served, http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        response = await http.post(path, json={"input": "hi", **body})
        assert response.status_code in (200, 400, 404), response.text
