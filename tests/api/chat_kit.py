"""What several tests of the chat need: frames of a stream, events of an answer, who asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
from facade_kit import USAGE

from api.roles import Caller, Role
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    TextDelta,
    Timings,
    ToolFinished,
    ToolStarted,
)
from tiers.contracts import ToolResult, ToolTrace

CHAT = "/v1/chat/completions"
ASK = {"model": "triaged", "messages": [{"role": "user", "content": "hi"}]}
DONE = AnswerFinished(
    reason="stop",
    usage=USAGE,
    timings=Timings(prompt_seconds=0.5, answer_seconds=0.25, cached_tokens=4),
)


def frames(body: str) -> list[Any]:
    """The payloads of a stream; every frame must be one `data:` line and an empty one."""
    assert body.endswith("\n\n")
    payloads = []
    for frame in body[:-2].split("\n\n"):
        assert frame.startswith("data: "), frame
        assert "\n" not in frame
        payloads.append("[DONE]" if frame == "data: [DONE]" else json.loads(frame[6:]))
    return payloads


def script(*events: AgentEvent) -> Callable[[], AsyncIterator[AgentEvent]]:
    """An agent's answer that is these events."""

    async def run() -> AsyncIterator[AgentEvent]:
        for event in events:
            yield event

    return run


def tool(summary: str = "6 of 10 GB are used", **arguments: Any) -> Sequence[AgentEvent]:
    """A tool call from its start to its end."""
    result = ToolResult(ok=True, summary=summary, data={"used": 6})
    trace = ToolTrace(name="disk_usage", arguments=arguments, result=result, seconds=0.25)
    return (
        ToolStarted(call_id="c1", name="disk_usage", arguments=arguments),
        ToolFinished(call_id="c1", trace=trace),
    )


def text(words: str) -> TextDelta:
    return TextDelta(text=words)


def caller(role: Role = Role.OPERATOR, *, key: str = "k", user: str | None = None) -> Caller:
    return Caller(key=key, role=role, user=user)


async def deltas(http: httpx.AsyncClient, body: Any, **options: Any) -> list[dict[str, Any]]:
    """The deltas of a streamed answer; payloads without choices as they are."""
    response = await http.post(CHAT, json={**body, "stream": True}, **options)
    assert response.status_code == 200, response.text
    *chunks, done = frames(response.text)
    assert done == "[DONE]"
    return [chunk["choices"][0]["delta"] if chunk.get("choices") else chunk for chunk in chunks]


def said(parts: Sequence[dict[str, Any]], field: str = "content") -> str:
    return "".join(part.get(field) or "" for part in parts)


async def message(http: httpx.AsyncClient, body: Any, **options: Any) -> dict[str, Any]:
    """The message of a whole answer."""
    response = await http.post(CHAT, json=body, **options)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["choices"][0]["message"]
    return found
