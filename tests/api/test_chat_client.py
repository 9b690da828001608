"""The official OpenAI client as a frontend would use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from chat_kit import DONE, script, text, tool
from facade_kit import USAGE, Served
from pydantic import BaseModel

from tiers.chat_contracts import AgentEvent, AnswerFinished, ClientCall, ClientCalls
from tiers.errors import QueueFullError

HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
CALLS = script(
    *tool(path="/"),
    ClientCalls(calls=(ClientCall(call_id="c9", name="get_weather", arguments='{"city":"Bonn"}'),)),
    AnswerFinished(reason="tool_calls", usage=USAGE),
)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.AsyncClient(trust_env=False),
    ) as made:
        yield made


async def test_tools_whole_and_back(served: Served, client: openai.AsyncOpenAI) -> None:
    served.agent.script = CALLS
    answer = await client.chat.completions.create(model="triaged", messages=HI, tools=TOOLS)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert call.function.arguments == '{"city":"Bonn"}'
    served.agent.script = script(text("18 °C"), DONE)
    again: Any = [
        *HI,
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "18"},
    ]
    final = await client.chat.completions.create(model="triaged", messages=again, tools=TOOLS)
    assert final.choices[0].message.content == "18 °C"
    assert [m["role"] for m in served.agent.messages] == ["user", "assistant", "tool"]


async def test_tools_streamed_with_the_clients_own_assembly(
    served: Served, client: openai.AsyncOpenAI
) -> None:
    served.agent.script = CALLS
    async with client.chat.completions.stream(
        model="triaged", messages=HI, tools=TOOLS, stream_options={"include_usage": True}
    ) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.parsed_arguments == {"city": "Bonn"}
    assert final.usage is not None
    assert final.usage.total_tokens == 10


class Weather(BaseModel):
    city: str
    degrees: int


async def test_structured_output(served: Served, client: openai.AsyncOpenAI) -> None:
    served.agent.script = script(*tool(), text('{"city": "Bonn",'), text(' "degrees": 18}'), DONE)
    answer = await client.chat.completions.parse(
        model="triaged", messages=HI, response_format=Weather
    )
    assert answer.choices[0].message.parsed == Weather(city="Bonn", degrees=18)
    form = served.agent.options["response_format"]
    assert form["json_schema"]["schema"]["required"] == ["city", "degrees"]


async def test_errors_by_their_class(served: Served, client: openai.AsyncOpenAI) -> None:
    async def full() -> AsyncIterator[AgentEvent]:
        raise QueueFullError("full", retry_after=3)
        yield

    served.agent.script = full
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="triaged", messages=HI)
    assert caught.value.response.headers["retry-after"] == "3"
    with pytest.raises(openai.BadRequestError) as wrong:
        await client.chat.completions.create(model="triaged", messages=HI, n=2)
    assert wrong.value.param == "n"
    with pytest.raises(openai.BadRequestError) as odd:
        await client.chat.completions.create(
            model="triaged", messages=HI, logprobs=True, stream=True
        )
    assert odd.value.param == "logprobs"


async def test_closing_a_stream_ends_the_model(served: Served, client: openai.AsyncOpenAI) -> None:
    async def endless() -> AsyncIterator[AgentEvent]:
        while True:
            yield text("on and ")
            await asyncio.sleep(0.01)

    served.agent.script = endless
    stream = await client.chat.completions.create(model="triaged", messages=HI, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()
    await asyncio.wait_for(served.agent.ended.wait(), 1.0)


async def test_completions(served: Served, client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="triaged", prompt="hi")
    assert answer.choices[0].text == "Hello"
    stream = await client.completions.create(model="triaged", prompt="hi", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "Hello"
