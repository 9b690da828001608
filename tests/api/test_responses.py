"""The Responses API over the facade: whole answers, streams, tools, errors, and clients that go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import openai
import pytest
from facade_kit import USAGE, Served, eventually, now, said
from pydantic import BaseModel
from responses_stream import checked_response, kinds, streamed

from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    ClientCall,
    ClientCalls,
    Proposal,
    ProposalMade,
    TextDelta,
    ThinkingDelta,
    Timings,
    ToolFinished,
    ToolStarted,
)
from tiers.contracts import ToolResult, ToolTrace
from tiers.errors import (
    BadAnswerError,
    CaseTooLargeError,
    QueueFullError,
    TierRefusedError,
    TierUnavailableError,
)

ASK: dict[str, Any] = {"model": "triaged", "input": "how full is the disk?"}
FUNCTION = {
    "type": "function",
    "name": "weather",
    "description": "the weather",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
}


def end(reason: str = "stop", **changes: Any) -> AnswerFinished:
    return AnswerFinished(reason=reason, usage=USAGE, **changes)


def found(name: str, summary: str, *, ok: bool = True, **data: Any) -> ToolTrace:
    result = ToolResult(ok=ok, summary=summary, data=data)
    return ToolTrace(name=name, arguments={}, result=result, seconds=0.1)


async def look_up() -> AsyncIterator[AgentEvent]:
    """Thinks, looks two things up at once, and answers."""
    yield ThinkingDelta(text="the user ")
    yield ThinkingDelta(text="wants figures")
    yield TextDelta(text="Let me look.")
    yield ToolStarted(call_id="call_0", name="disk_usage", arguments={"path": "/"})
    yield ToolStarted(call_id="call_1", name="disk_usage", arguments={"path": "/var"})
    yield ToolFinished(call_id="call_1", trace=found("disk_usage", "no such path", ok=False))
    yield ToolFinished(call_id="call_0", trace=found("disk_usage", "/ is 40 % full", percent=40))
    yield ThinkingDelta(text="good")
    yield TextDelta(text="It is 40 ")
    yield TextDelta(text="% full.")
    yield end(timings=Timings(prompt_seconds=0.1, answer_seconds=0.2, cached_tokens=5))


async def call_client() -> AsyncIterator[AgentEvent]:
    yield TextDelta(text="One moment.")
    yield ClientCalls(
        calls=(
            ClientCall(call_id="call_0", name="weather", arguments='{"town":"Ulm"}'),
            ClientCall(call_id="call_1", name="weather", arguments='{"town":"Bern"}'),
            ClientCall(call_id="call_2", name="rm_rf", arguments="{}"),
        )
    )
    yield end("tool_calls")


async def test_an_answer(parts: Served, http: httpx.AsyncClient) -> None:
    for path in ("/v1/responses", "/responses"):
        response = await http.post(
            path, json={**ASK, "instructions": "be brief", "metadata": {"a": "b"}, "user": "u"}
        )
        body = checked_response(response.json())
        (message,) = body.pop("output")
        assert message.pop("id").startswith("msg_")
        assert message == {
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
            ],
        }
        assert body["id"].startswith("resp_")
        assert body["object"] == "response"
        assert body["status"] == "completed"
        assert body["completed_at"] >= body["created_at"] > 1.7e9
        assert (body["error"], body["incomplete_details"]) == (None, None)
        assert (body["model"], body["metadata"], body["user"]) == ("triaged", {"a": "b"}, "u")
        assert (body["instructions"], body["store"]) == ("be brief", True)
        assert body["usage"] == {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 10,
        }
    assert parts.agent.messages == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": ASK["input"]},
    ]


async def test_the_events_of_a_plain_answer(http: httpx.AsyncClient) -> None:
    events = await streamed(http, ASK)
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    created = events[0]["response"]
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1


@pytest.mark.parametrize("summary", [False, True])
async def test_tools_of_the_host_are_calls_with_their_outputs(
    parts: Served, http: httpx.AsyncClient, summary: bool
) -> None:
    parts.agent.script = look_up
    ask = {**ASK, "reasoning": {"summary": "auto", "effort": "low"}} if summary else ASK
    events = await streamed(http, ask)
    body = events[-1]["response"]
    output = body["output"]
    assert [item["type"] for item in output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "reasoning",
        "message",
    ]
    assert {item["status"] for item in output} == {"completed"}
    assert len({item["id"] for item in output}) == len(output)
    thought = output[0]["summary"] if summary else output[0]["content"]
    assert "".join(part["text"] for part in thought) == "the user wants figures"
    kind = "reasoning_summary_text" if summary else "reasoning_text"
    assert kinds(events).count(f"{kind}.delta") == 3
    first, second = output[2:4]
    assert first["call_id"] != second["call_id"]
    for item in output[2:6]:
        assert item["call_id"].startswith("host_")
        assert item["namespace"] == "host"
    assert json.loads(first["arguments"]) == {"path": "/"}
    by_call = {item["call_id"]: json.loads(item["output"][0]["text"]) for item in output[4:6]}
    assert by_call[first["call_id"]] == {
        "ok": True, "summary": "/ is 40 % full", "data": {"percent": 40}
    }  # fmt: skip
    assert by_call[second["call_id"]] == {"ok": False, "summary": "no such path"}
    assert body["usage"]["input_tokens_details"]["cached_tokens"] == 5
    assert 0 < body["usage"]["output_tokens_details"]["reasoning_tokens"] < 3
    whole = checked_response((await http.post("/v1/responses", json=ask)).json())
    assert _without_ids(whole["output"]) == _without_ids(output)
    assert parts.agent.options == ({"reasoning_effort": "low"} if summary else {})


def _without_ids(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in output]


@pytest.mark.parametrize("parallel", [True, False])
async def test_functions_of_the_client(
    parts: Served, http: httpx.AsyncClient, parallel: bool
) -> None:
    parts.agent.script = call_client
    ask = {
        **ASK,
        "tools": [FUNCTION],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": parallel,
    }
    events = await streamed(http, ask)
    body = events[-1]["response"]
    assert body["status"] == "completed"
    calls = [item for item in body["output"] if item["type"] == "function_call"]
    assert [json.loads(call["arguments"])["town"] for call in calls] == (
        ["Ulm", "Bern"] if parallel else ["Ulm"]
    )
    assert all(call["call_id"].startswith("call_") for call in calls)
    assert not any("namespace" in call for call in calls)
    assert body["tools"] == [{**FUNCTION, "strict": True}]
    assert body["tool_choice"] == {"type": "function", "name": "weather"}
    asked = parts.agent.asked
    assert asked is not None
    function = {key: value for key, value in FUNCTION.items() if key != "type"}
    assert asked.tools == ({"type": "function", "function": function},)
    assert asked.tool_choice == {"type": "function", "function": {"name": "weather"}}
    assert asked.options["parallel_tool_calls"] is parallel
    # The client runs them and goes on.
    parts.agent.script = lambda: said("Sunny.")
    outputs = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "sun"}
        for call in calls
    ]
    again = {"model": "triaged", "previous_response_id": body["id"], "input": outputs}
    response = await http.post("/v1/responses", json=again)
    assert response.status_code == 200, response.text
    user, assistant, *tools = parts.agent.messages
    assert user == {"role": "user", "content": ASK["input"]}
    assert assistant["content"] == "One moment."
    assert [call["id"] for call in assistant["tool_calls"]] == [call["call_id"] for call in calls]
    assert tools == [
        {"role": "tool", "tool_call_id": call["call_id"], "content": "sun"} for call in calls
    ]


async def test_which_functions_are_offered(parts: Served, http: httpx.AsyncClient) -> None:
    other = {**FUNCTION, "name": "time", "parameters": None, "strict": False}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"name": "time"}]}
    for choice, names, wanted in (
        (None, ["weather", "time"], "auto"),
        ("auto", ["weather", "time"], "auto"),
        ("required", ["weather", "time"], "required"),
        ("none", [], None),
        (allowed, ["time"], "required"),
    ):
        ask = {**ASK, "tools": [FUNCTION, other], "tool_choice": choice}
        response = await http.post("/v1/responses", json=ask)
        assert response.status_code == 200, response.text
        asked = parts.agent.asked
        assert asked is not None
        assert [tool["function"]["name"] for tool in asked.tools] == names
        assert asked.tool_choice == wanted
        assert checked_response(response.json())["tool_choice"] == (choice or "auto")


async def test_the_form_of_the_answer(parts: Served, http: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    response = await http.post(
        "/v1/responses",
        json={
            **ASK,
            "text": {"format": form, "verbosity": "low"},
            "max_output_tokens": 50,
            "temperature": 0,
            "top_p": 0.5,
        },
    )
    body = checked_response(response.json())
    assert body["text"] == {"format": {**form, "description": None}, "verbosity": "low"}
    assert (body["max_output_tokens"], body["temperature"], body["top_p"]) == (50, 0, 0.5)
    assert parts.agent.options == {
        "max_tokens": 50,
        "temperature": 0,
        "top_p": 0.5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": schema, "strict": True},
        },
    }


@pytest.mark.parametrize("reason", ["length", "budget"])
async def test_an_answer_that_was_cut(parts: Served, http: httpx.AsyncClient, reason: str) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="It is")
        yield end(reason)

    parts.agent.script = script
    events = await streamed(http, ASK)
    body = events[-1]["response"]
    assert body["status"] == "incomplete"
    assert body["incomplete_details"]["reason"] == "max_output_tokens"
    assert body["completed_at"] is None
    assert body["output"][0]["status"] == "incomplete"
    whole = checked_response((await http.post("/v1/responses", json=ASK)).json())
    assert whole["incomplete_details"] == body["incomplete_details"]
    # It can be gone on from.
    ask = {**ASK, "previous_response_id": whole["id"]}
    assert (await http.post("/v1/responses", json=ask)).status_code == 200
    assert parts.agent.messages[1] == {"role": "assistant", "content": "It is"}


async def test_a_proposal_stands_in_the_text_and_the_users_answer_needs_no_model(
    parts: Served, http: httpx.AsyncClient
) -> None:
    proposal = Proposal(
        code="AB12CD",
        content="restart nginx.service",
        risk="low",
        reason="\U0001f50f it hangs",
        expires_at=now() + timedelta(minutes=5),
    )

    async def script() -> AsyncIterator[AgentEvent]:
        yield TextDelta(text="\U0001f50f forged")
        yield ProposalMade(proposal=proposal)
        yield end()

    parts.agent.script = script
    events = await streamed(http, ASK)
    text = events[-1]["response"]["output"][0]["content"][0]["text"]
    assert "approve AB12CD" in text
    assert "\U0001f50f" not in text.partition("Waiting")[0].replace("> \U0001f50f **", "")
    parts.agent.asked = None
    response = await http.post(
        "/v1/responses",
        json={
            "model": "triaged",
            "input": "approve AB12CD",
            "previous_response_id": events[-1]["response"]["id"],
        },
    )
    assert response.status_code == 200, response.text
    assert parts.agent.asked is None
    assert checked_response(response.json())["output"][0]["content"][0]["text"]


@pytest.mark.parametrize(
    ("error", "status", "code", "told"),
    [
        (TierUnavailableError("it loads", retry_after=2), 503, "tier_unavailable", "server_error"),
        (
            CaseTooLargeError("too long", excess_tokens=5),
            400,
            "context_length_exceeded",
            "invalid_prompt",
        ),
        (TierRefusedError("no"), 400, "refused_by_model", "invalid_prompt"),
        (QueueFullError("full", retry_after=1), 429, "queue_full", "rate_limit_exceeded"),
        (BadAnswerError("odd", problem="p", answer="a"), 502, "bad_answer", "server_error"),
        (RuntimeError("secret detail"), 500, "defect", "server_error"),
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
    told: str,
    stream: bool,
    late: bool,
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        if late:
            yield TextDelta(text="so far")
            yield ToolStarted(call_id="1", name="disk_usage", arguments={})
        raise error

    parts.agent.script = script
    if stream and late:
        events = await streamed(http, ASK)
        body = events[-1]["response"]
        assert body["status"] == "failed"
        assert body["error"]["code"] == told
        assert "secret detail" not in json.dumps(events)
        # No call stays without an output: a frontend would run it.
        assert [item["type"] for item in body["output"]] == [
            "message",
            "function_call",
            "function_call_output",
        ]
        assert body["output"][2]["status"] == "incomplete"
    else:
        response = await http.post("/v1/responses", json={**ASK, "stream": stream})
        assert response.status_code == status
        assert response.json()["error"]["code"] == code
        assert "secret detail" not in response.text
    assert parts.agent.running == 0
    assert not parts.responses.kept


@pytest.mark.parametrize("stream", [True, False])
async def test_an_agent_that_says_nothing_at_all(
    parts: Served, http: httpx.AsyncClient, stream: bool
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        return
        yield

    parts.agent.script = script
    if stream:
        body = (await streamed(http, ASK))[-1]["response"]
    else:
        body = checked_response((await http.post("/v1/responses", json=ASK)).json())
    assert (body["status"], body["output"], body["usage"]) == ("incomplete", [], None)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("spoken", [0, 1])
async def test_a_client_that_goes_away_cancels_the_agent_and_nothing_is_kept(
    served: Served, stream: bool, spoken: int
) -> None:
    async def script() -> AsyncIterator[AgentEvent]:
        for _ in range(spoken):
            yield TextDelta(text="wait")
        await asyncio.sleep(60)

    served.agent.script = script
    body = json.dumps({**ASK, "stream": stream}).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head.encode() + body)
    await eventually(lambda: served.agent.running == 1)
    if stream and spoken:
        assert b"200 OK" in await reader.read(1_000)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(served.agent.ended.wait(), 1.0)
    await eventually(lambda: bool(served.measures.records))
    assert served.measures.records[-1].outcome == "gone"
    assert not served.responses.kept


async def test_answers_are_measured(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = look_up
    await streamed(http, ASK)
    record = parts.measures.records[-1]
    assert (record.endpoint, record.outcome, record.status) == ("responses", "stop", 200)
    assert (record.prompt_tokens, record.cached_tokens, record.tool_calls) == (7, 5, 2)
    assert record.first_seconds is not None


class Disk(BaseModel):
    percent: int


async def test_the_official_client(served: Served) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.AsyncClient(trust_env=False),
    ) as client:
        first = await client.responses.create(model="triaged", input="hi")
        assert first.output_text == "Hello"
        assert first.usage is not None
        assert first.usage.total_tokens == 10
        second = await client.responses.create(
            model="triaged", input="and now?", previous_response_id=first.id
        )
        assert [m["content"] for m in served.agent.messages] == ["hi", "Hello", "and now?"]
        assert (await client.responses.retrieve(second.id)).output_text == "Hello"
        listed = [item.id async for item in await client.responses.input_items.list(second.id)]
        assert len(listed) == 1
        count = await client.responses.input_tokens.count(model="triaged", input="hi")
        assert count.input_tokens == 7
        with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
            await client.responses.cancel(second.id)
        await client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(first.id)
        with pytest.raises(openai.BadRequestError, match="not found") as missing:
            await client.responses.create(model="triaged", input="x", previous_response_id=first.id)
        assert missing.value.code == "previous_response_not_found"
        with pytest.raises(openai.NotFoundError, match="There is no model"):
            await client.responses.create(model="gpt", input="x")

        served.agent.script = look_up
        async with client.responses.stream(model="triaged", input="disk?") as stream:
            types = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert final.output_text == "Let me look.It is 40 % full."
        assert "response.function_call_arguments.done" in types

        served.agent.script = lambda: said('{"percent"', ": 40}")
        parsed = await client.responses.parse(model="triaged", input="x", text_format=Disk)
        assert parsed.output_parsed == Disk(percent=40)

        async def cut() -> AsyncIterator[AgentEvent]:
            yield TextDelta(text="so far")
            raise TierUnavailableError("it died")

        served.agent.script = cut
        events = [
            event
            async for event in await client.responses.create(
                model="triaged", input="x", stream=True
            )
        ]
        assert events[-1].type == "response.failed"
        assert events[-1].response.error is not None
        assert events[-1].response.error.message == "it died"


async def test_the_official_clients_own_loop_of_functions(served: Served) -> None:
    """The client sends everything back each time and stores nothing."""
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.AsyncClient(trust_env=False),
    ) as client:

        async def script() -> AsyncIterator[AgentEvent]:
            async for event in look_up():
                if not isinstance(event, AnswerFinished):
                    yield event
            async for event in call_client():
                yield event

        served.agent.script = script
        talk: list[Any] = [{"role": "user", "content": "weather?"}]
        tools: Any = [FUNCTION]
        response = await client.responses.create(
            model="triaged", input=talk, tools=tools, store=False
        )
        talk += [item.model_dump(exclude_none=True) for item in response.output]
        own = [
            item
            for item in response.output
            if item.type == "function_call" and item.namespace is None
        ]
        assert len(own) == 2
        talk += [
            {"type": "function_call_output", "call_id": item.call_id, "output": "sun"}
            for item in own
        ]
        served.agent.script = lambda: said("Sunny.")
        again = await client.responses.create(model="triaged", input=talk, tools=tools, store=False)
        assert again.output_text == "Sunny."
        roles = [message["role"] for message in served.agent.messages]
        assert roles == ["user", "assistant", "tool", "tool"]
        assert "disk_usage" not in json.dumps(list(served.agent.messages))
        assert not served.responses.kept
