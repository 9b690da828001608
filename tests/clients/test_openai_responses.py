"""OpenAI's Python client and the Responses API: stored, gone on from, streamed, forgotten."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from disk_answers import says_how_full
from openai import OpenAI
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

DISK = "how full is the disk?"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The current weather of a city.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}

pytestmark = pytest.mark.timeout(120)


class Verdict(BaseModel):
    escalate: bool


def test_a_response_is_stored_and_gone_on_from_and_forgotten(client: OpenAI) -> None:
    first = client.responses.create(model="triaged", input=DISK)
    assert first.status == "completed"
    assert says_how_full(first.output_text)
    assert first.usage is not None
    assert first.usage.total_tokens > 0
    second = client.responses.create(
        model="triaged", input="and the memory?", previous_response_id=first.id
    )
    assert "GiB" in second.output_text
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(first.id).output_text == first.output_text
    (item,) = client.responses.input_items.list(first.id)
    assert item.type == "message"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
        client.responses.create(model="triaged", input="x", previous_response_id=first.id)


def test_what_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    response = client.responses.create(model="triaged", input=DISK, store=False)
    assert says_how_full(response.output_text)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_streamed_events_make_up_the_response(client: OpenAI) -> None:
    with client.responses.stream(model="triaged", input=DISK) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == final.output_text
    assert says_how_full(said)
    assert client.responses.retrieve(final.id).output_text == said


def test_a_tool_of_the_client(client: OpenAI) -> None:
    """It runs at the client; the next response goes on with its result."""
    asked = client.responses.create(
        model="triaged", input="what is the weather in Paris?", tools=[WEATHER]
    )
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Paris"}
    result: Any = {
        "type": "function_call_output",
        "call_id": call.call_id,
        "output": "Paris: 17 degrees, rain",
    }
    said = client.responses.create(
        model="triaged", input=[result], previous_response_id=asked.id, tools=[WEATHER]
    )
    assert "17" in said.output_text


def test_tools_of_the_host_are_shown_with_their_results(client: OpenAI) -> None:
    """A call that is followed by its output is no request to the client."""
    response = client.responses.create(model="triaged", input=DISK, tools=[WEATHER])
    kinds = [item.type for item in response.output]
    assert kinds == ["function_call", "function_call_output", "message"]
    assert says_how_full(response.output_text)


def test_a_form(client: OpenAI) -> None:
    response = client.responses.parse(
        model="tier/meta",
        input="kernel: Out of memory: Killed process 42 (postgres)",
        text_format=Verdict,
        max_output_tokens=100,
    )
    assert isinstance(response.output_parsed, Verdict)


def test_errors(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.create(model="gpt-4", input="x")
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_nothing")
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="triaged", input="x", temperature=99)
