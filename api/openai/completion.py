"""An answer as OpenAI's objects: whole, or as chunks. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tiers.chat_contracts import ToolFinished, ToolStarted
from tiers.contracts import Usage


def usage_object(usage: Usage) -> dict[str, int]:
    """Token counts as OpenAI names them."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def completion_object(
    *,
    completion_id: str,
    created: int,
    model: str,
    content: str,
    reasoning: str,
    finish_reason: str,
    usage: Usage,
) -> dict[str, Any]:
    """A `chat.completion`. `reasoning_content` appears when there is any."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning
    return {
        "id": completion_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        ],
        "usage": usage_object(usage),
    }


def chunk_object(
    *,
    completion_id: str,
    created: int,
    model: str,
    delta: Mapping[str, Any] | None,
    finish_reason: str | None = None,
    usage: Usage | None = None,
    null_usage: bool = False,
) -> dict[str, Any]:
    """A `chat.completion.chunk`; `delta` None makes the last one, with usage and no choices.

    `null_usage`: the client asked for usage, so every other chunk says that it has none.
    """
    choices = (
        []
        if delta is None
        else [{"index": 0, "delta": dict(delta), "finish_reason": finish_reason}]
    )
    chunk: dict[str, Any] = {
        "id": completion_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": choices,
    }
    if usage is not None:
        chunk["usage"] = usage_object(usage)
    elif null_usage:
        chunk["usage"] = None
    return chunk


def openai_finish_reason(reason: str) -> str:
    """`stop` or `length`: the loop's own bound shows as `length`."""
    return "stop" if reason == "stop" else "length"


def activity_line(event: ToolStarted | ToolFinished) -> str:
    """Tool activity as a line of reasoning: every frontend can show that."""
    if isinstance(event, ToolStarted):
        arguments = ", ".join(f"{k}={json.dumps(v)}" for k, v in event.arguments.items())
        return f"Looking up {event.name}({arguments})\n"
    trace = event.trace
    mark = "" if trace.result.ok else "could not: "
    return f"{mark}{trace.result.summary[:400]} [{trace.seconds:.1f} s]\n"
