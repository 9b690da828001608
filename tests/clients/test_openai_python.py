"""OpenAI's own Python client against the facade, used as its manual says: nothing of it is bent."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from disk_answers import says_how_full
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel, Field
from running import Running

pytestmark = pytest.mark.timeout(120)

DISK = "how full is the disk?"
DISK_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "disk_usage",
        "description": "Used and free space of mounted filesystems.",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string", "maxLength": 40}},
            "additionalProperties": False,
        },
    },
}


class Verdict(BaseModel):
    """A form that a bare model fills in."""

    severity: str = Field(pattern="^(info|notice|warning|critical)$")
    escalate: bool


@pytest.fixture
async def asynchronous(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=60) as opened:
        yield opened


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_the_list_of_models(client: OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert ids[0] == "triaged"
    assert {"tier/trigger", "tier/review", "tier/meta"} <= set(ids)
    assert client.models.retrieve("triaged").id == "triaged"
    assert client.models.retrieve("tier/meta").object == "model"


def test_an_answer_in_one_piece(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="triaged", messages=user(DISK))
    assert says_how_full(answer.choices[0].message.content)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_answer(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="triaged",
            messages=user(DISK),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert says_how_full("".join(c.choices[0].delta.content or "" for c in chunks if c.choices))
    # Without being asked for, tools that ran on the host are no tool calls of the client's.
    assert not any(c.choices[0].delta.tool_calls for c in chunks if c.choices)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_the_streaming_helper_of_the_client(client: OpenAI) -> None:
    with client.chat.completions.stream(model="triaged", messages=user(DISK)) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert kinds[-1] == "content.done" or "content.done" in kinds
    assert says_how_full(final.choices[0].message.content)


async def test_many_at_once(asynchronous: AsyncOpenAI) -> None:
    async with asyncio.TaskGroup() as tasks:
        answers = [
            tasks.create_task(
                asynchronous.chat.completions.create(model="triaged", messages=user(DISK))
            )
            for _ in range(6)
        ]
    assert all(says_how_full(task.result().choices[0].message.content) for task in answers)


@pytest.mark.parametrize("model", ["tier/trigger", "tier/review", "tier/meta"])
def test_a_bare_model_gets_the_prompt_as_it_is(client: OpenAI, daemon: Running, model: str) -> None:
    """Prompt tokens are those that the endpoint itself counts: nothing was put in."""
    port = daemon.ports[model.removeprefix("tier/")]
    direct = httpx.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json={"messages": user("hello there"), "max_tokens": 1},
        trust_env=False,
    ).json()
    answer = client.chat.completions.create(model=model, messages=user("hello there"), max_tokens=1)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == direct["usage"]["prompt_tokens"]


def test_tools_of_the_client_run_at_the_client(client: OpenAI) -> None:
    messages = user(DISK)
    asked = client.chat.completions.create(model="tier/meta", messages=messages, tools=[DISK_TOOL])
    message = asked.choices[0].message
    assert asked.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    call = message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "disk_usage"
    assert isinstance(json.loads(call.function.arguments), dict)
    result = {"role": "tool", "tool_call_id": call.id, "content": "/data: 77% of 91 GiB used"}
    said = client.chat.completions.create(
        model="tier/meta",
        messages=[*messages, message.model_dump(exclude_none=True), result],
        tools=[DISK_TOOL],
    )
    assert "77" in (said.choices[0].message.content or "")


def test_streamed_tool_calls_of_the_client(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="tier/meta", messages=user(DISK), tools=[{**DISK_TOOL}]
    ) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "disk_usage"
    assert calls[0].id


def test_a_json_schema(client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="tier/meta",
        messages=user("kernel: Out of memory: Killed process 42 (postgres)"),
        response_format=Verdict,
        max_tokens=100,
    )
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Verdict)


def test_completions_of_the_old_kind(client: OpenAI) -> None:
    whole = client.completions.create(model="tier/meta", prompt="one two three", max_tokens=4)
    assert whole.object == "text_completion"
    parts = client.completions.create(
        model="tier/meta", prompt="one two three", max_tokens=4, stream=True
    )
    assert all(part.object == "text_completion" for part in parts)


class TestErrors:
    """Each becomes the exception that the client has for it, with a sentence."""

    def test_no_such_model(self, client: OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as raised:
            client.chat.completions.create(model="gpt-4", messages=user("x"))
        assert raised.value.code == "model_not_found"
        assert raised.value.param == "model"
        assert "triaged" in raised.value.message
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-4")

    def test_nothing_to_answer(self, client: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(model="triaged", messages=[])
        assert raised.value.type == "invalid_request_error"
        assert "messages" in raised.value.message

    def test_a_prompt_that_is_too_long(self, client: OpenAI) -> None:
        """The model's server says it in its own words, which say how long it may be."""
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(model="tier/meta", messages=user("disk " * 60_000))
        assert raised.value.type == "exceed_context_size_error"
        assert "context size" in raised.value.message

    def test_a_body_that_is_too_large(self, client: OpenAI) -> None:
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(model="triaged", messages=user("x" * 40_000_000))
        assert raised.value.status_code == 413

    def test_an_unknown_parameter_is_no_error(self, client: OpenAI) -> None:
        answer = client.chat.completions.create(
            model="triaged",
            messages=user(DISK),
            user="someone",
            presence_penalty=0.5,
            logit_bias={},
            extra_body={"nonsense": {"x": 1}},
        )
        assert says_how_full(answer.choices[0].message.content)

    def test_a_timeout_is_the_clients(self, client: OpenAI) -> None:
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.0001).chat.completions.create(
                model="triaged", messages=user(DISK)
            )

    def test_no_daemon(self) -> None:
        with (
            OpenAI(base_url="http://127.0.0.1:1/v1", api_key="none", max_retries=0) as nowhere,
            pytest.raises(openai.APIConnectionError),
        ):
            nowhere.models.list()


def test_going_away_stops_the_model(client: OpenAI, daemon: Running) -> None:
    """An answer that would fill the whole context (2,048 tokens) ends long before. Of answers that
    are not streamed llama-server itself notices nothing before they are done."""
    before = metric(daemon, "n_decode_total")
    with client.chat.completions.create(
        model="tier/meta",
        messages=user("hello"),
        stream=True,
        extra_body={"ignore_eos": True, "n_predict": -1},
    ) as stream:
        next(iter(stream))
    daemon.until(
        lambda: metric(daemon, "requests_processing") == 0, seconds=30, what="idle after that"
    )
    assert metric(daemon, "n_decode_total") - before < 1_500


def metric(daemon: Running, name: str) -> int:
    """A figure of the meta tier's own server."""
    shown = httpx.get(f"http://127.0.0.1:{daemon.ports['meta']}/metrics", trust_env=False).text
    found = re.search(rf"^llamacpp:{name} (\d+)", shown, re.MULTILINE)
    assert found is not None, shown
    return int(found[1])
