"""What an endpoint answers, as typed values, and how they are read from its JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from tiers.contracts import Usage


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the model asks for. `arguments` is the text it wrote, which may not be JSON."""

    call_id: str
    name: str
    arguments: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """A whole answer. `finish_reason` is `stop`, `length`, `tool_calls` or the endpoint's own."""

    text: str
    thinking: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    usage: Usage
    timings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """llama-server's own, empty elsewhere."""
    cached_tokens: int = 0
    """Of the prompt, those that were not read again."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingPart:
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallPart:
    """More of the call number `index`; name and id come with its first part."""

    index: int
    call_id: str
    name: str
    arguments: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """The last delta of every stream that was not cut."""

    finish_reason: str
    usage: Usage
    timings: Mapping[str, Any]
    cached_tokens: int = 0


Delta = TextPart | ThinkingPart | ToolCallPart | StreamEnd


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer of `/v1/systemone`: `body` as it came, and what it cost."""

    body: Mapping[str, Any]
    usage: Usage


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What an endpoint serves. `context` is tokens of one call, None where it does not say."""

    model: str
    context: int | None
    decision: bool


def mapping(value: object) -> Mapping[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """`value` where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def count_of(value: object) -> int:
    """`value` where it is a count, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def usage_from(body: Mapping[str, Any], *, model: str, endpoint: str, seconds: float) -> Usage:
    """Token counts of a chat (`prompt_tokens`) or of a decision (`input_tokens`)."""
    usage = mapping(body.get("usage"))
    return Usage(
        model=text_of(body.get("model")) or model,
        endpoint=endpoint,
        prompt_tokens=count_of(usage.get("prompt_tokens", usage.get("input_tokens"))),
        completion_tokens=count_of(usage.get("completion_tokens", usage.get("output_tokens"))),
        seconds=seconds,
    )


def cached_tokens_of(body: Mapping[str, Any], timings: Mapping[str, Any]) -> int:
    """Tokens of a prompt that were taken from a cache, by the counts or by the timings."""
    details = mapping(mapping(body.get("usage")).get("prompt_tokens_details"))
    return count_of(details.get("cached_tokens")) or count_of(timings.get("cache_n"))


def add_usage(first: Usage, second: Usage) -> Usage:
    """The cost of both; the model and endpoint of the second."""
    return Usage(
        model=second.model or first.model,
        endpoint=second.endpoint or first.endpoint,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        seconds=first.seconds + second.seconds,
        calls=first.calls + second.calls,
    )


def tool_calls_from(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The `tool_calls` of a message; entries without a function name are left out."""
    entries = message.get("tool_calls")
    found = []
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        function = mapping(mapping(entry).get("function"))
        if name := text_of(function.get("name")):
            found.append(
                ToolCall(
                    call_id=text_of(entry.get("id")) or f"call_{number}",
                    name=name,
                    arguments=arguments_of(function.get("arguments")),
                )
            )
    return tuple(found)


def arguments_of(value: object) -> str:
    """The arguments of a call as text; some servers write the object itself."""
    return orjson.dumps(value).decode() if isinstance(value, dict) else text_of(value)


def message_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a chat's answer, empty where there is none."""
    return mapping(_choice_of(document).get("message"))


def answer_from(document: Mapping[str, Any], *, usage: Usage) -> ChatAnswer:
    """A chat's answer that has a message."""
    message, timings = message_of(document), mapping(document.get("timings"))
    return ChatAnswer(
        text=text_of(message.get("content")),
        # llama-server and DeepSeek say reasoning_content; Ollama and OpenRouter say reasoning.
        thinking=text_of(message.get("reasoning_content")) or text_of(message.get("reasoning")),
        tool_calls=tool_calls_from(message),
        finish_reason=text_of(_choice_of(document).get("finish_reason")) or "stop",
        usage=usage,
        timings=timings,
        cached_tokens=cached_tokens_of(document, timings),
    )


def vectors_from(document: Mapping[str, Any]) -> list[list[float]]:
    """The vectors of an answer about embeddings, in the order of the texts; what is none is left
    out."""
    rows = document.get("data")
    entries = [mapping(row) for row in rows] if isinstance(rows, list) else []
    entries.sort(key=lambda entry: count_of(entry.get("index")))
    return [vector for entry in entries if (vector := _vector(entry.get("embedding")))]


def _choice_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _vector(value: object) -> list[float]:
    if not isinstance(value, list) or not all(isinstance(x, int | float) for x in value):
        return []
    return [float(x) for x in value]
