"""A chat answer as OpenAI's objects: whole, or as chunks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from api.openai.rendering import Calls, Content, End, Piece, Reasoning, Status
from tiers.chat_contracts import ClientCall, Timings
from tiers.contracts import Usage


class Form(Protocol):
    """How an answer is written: payloads of a stream, or one object."""

    def opening(self) -> Sequence[Mapping[str, Any]]: ...

    def chunks(self, piece: Piece) -> Iterator[Mapping[str, Any]]: ...

    def closing(self, end: End) -> Iterator[Mapping[str, Any]]: ...

    def whole(self, pieces: Sequence[Piece], end: End) -> Mapping[str, Any]: ...


def usage_object(usage: Usage | None, timings: Timings | None = None) -> dict[str, Any]:
    """Token counts as OpenAI names them; what came from the cache where that is known."""
    prompt = usage.prompt_tokens if usage else 0
    answer = usage.completion_tokens if usage else 0
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
    }
    if timings is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": timings.cached_tokens}
    return counts


def timings_object(timings: Timings, usage: Usage | None) -> dict[str, Any]:
    """llama.cpp's `timings`, of all model calls of the answer together."""
    counted = usage_object(usage)
    cached = timings.cached_tokens
    read = max(0, counted["prompt_tokens"] - cached)
    written = counted["completion_tokens"]
    return {
        "cache_n": cached,
        **_speed("prompt", read, timings.prompt_seconds),
        **_speed("predicted", written, timings.answer_seconds),
    }


def _speed(name: str, tokens: int, seconds: float) -> dict[str, Any]:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": seconds * 1e3,
        f"{name}_per_token_ms": seconds * 1e3 / tokens if tokens else 0.0,
        f"{name}_per_second": tokens / seconds if seconds > 0 else 0.0,
    }


def with_cost(payload: dict[str, Any], end: End) -> dict[str, Any]:
    """The payload with `usage`, and with `timings` where they are known."""
    payload["usage"] = usage_object(end.usage, end.timings)
    if end.timings is not None:
        payload["timings"] = timings_object(end.timings, end.usage)
    return payload


def call_object(call: ClientCall) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


class ChatForm:
    """`chat.completion` and `chat.completion.chunk`. `include_usage`: the client asked for usage,
    so every chunk but the last says that it has none; `timings`: it asked for these alone."""

    def __init__(
        self,
        *,
        completion_id: str,
        created: int,
        model: str,
        include_usage: bool = False,
        timings: bool = False,
    ) -> None:
        self._head = {"id": completion_id, "created": created, "model": model}
        self._include_usage = include_usage
        self._timings = timings

    def opening(self) -> list[dict[str, Any]]:
        """The first chunk says who speaks, and nothing yet."""
        return [self._chunk({"role": "assistant", "content": None})]

    def chunks(self, piece: Piece) -> Iterator[dict[str, Any]]:
        match piece:
            case Content(text=text):
                yield self._chunk({"content": text})
            case Reasoning(text=text):
                yield self._chunk({"reasoning_content": text})
            case Status(description=description, done=done):
                yield {
                    "event": {"type": "status", "data": {"description": description, "done": done}}
                }
            case Calls(calls=calls):
                for index, call in enumerate(calls):
                    head = call_object(call)
                    head["function"]["arguments"] = ""
                    yield self._chunk({"tool_calls": [{"index": index, **head}]})
                    if call.arguments:
                        part = {"index": index, "function": {"arguments": call.arguments}}
                        yield self._chunk({"tool_calls": [part]})

    def closing(self, end: End) -> Iterator[dict[str, Any]]:
        last = self._chunk({}, finish_reason=end.reason)
        if self._timings and not self._include_usage and end.timings is not None:
            last["timings"] = timings_object(end.timings, end.usage)
        yield last
        if self._include_usage:
            yield with_cost({**self._head, "object": "chat.completion.chunk", "choices": []}, end)

    def whole(self, pieces: Sequence[Piece], end: End) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces if isinstance(piece, Content))
        reasoning = "".join(piece.text for piece in pieces if isinstance(piece, Reasoning))
        calls = [call for piece in pieces if isinstance(piece, Calls) for call in piece.calls]
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["content"] = text or None
            message["tool_calls"] = [call_object(call) for call in calls]
        choice = {"index": 0, "message": message, "finish_reason": end.reason, "logprobs": None}
        return with_cost({**self._head, "object": "chat.completion", "choices": [choice]}, end)

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        chunk = {
            **self._head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        }
        if self._include_usage:
            chunk["usage"] = None
        return chunk
