"""What tests of the chat share: a toolbox with fixed answers, agents, and readers of events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.tools.catalogue import tool_specs
from tiers.agent import Agent
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    ChatAgent,
    ClientCall,
    ClientCalls,
    Conversation,
    Effects,
    TextDelta,
)
from tiers.config import ToolLoopSettings
from tiers.contracts import ToolResult, ToolSpec
from tiers.full_profile import FullProfile
from tiers.llm.client import LlmClient
from tiers.nano.profile import NanoProfile

SUMMARY = "/var is 71.6 % full: 12.3 GB free of 44.0 GB."


class Box:
    """The host's tools with fixed answers; notes what was called."""

    def __init__(self, results: Mapping[str, ToolResult] | None = None) -> None:
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.results = dict(results or {})
        self.pause = 0.0
        self.running = 0
        self.most_running = 0
        self.cancelled = 0

    def specs(self) -> Sequence[ToolSpec]:
        return tool_specs()

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        self.called.append((name, dict(arguments)))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.pause)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return self.results.get(name, ToolResult(ok=True, summary=SUMMARY))


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def large(
    client: LlmClient,
    box: Box,
    *,
    effects: Effects | None = None,
    clock: Clock | None = None,
    **loop: Any,
) -> Agent:
    return Agent(
        client=client,
        profile=FullProfile(),
        toolbox=box,
        loop=ToolLoopSettings(**loop),
        effects=effects,
        clock=clock or Clock(),
    )


def small(client: LlmClient, box: Box, *, clock: Clock | None = None) -> Agent:
    return Agent(
        client=client,
        profile=NanoProfile(),
        toolbox=box,
        loop=ToolLoopSettings(),
        clock=clock or Clock(),
    )


async def ask(agent: ChatAgent, *texts: str, **options: Any) -> list[AgentEvent]:
    messages = []
    for number, text in enumerate(texts):
        messages.append({"role": "user" if number % 2 == 0 else "assistant", "content": text})
    return [event async for event in agent.answer(Conversation(messages=messages, options=options))]


def text_of(events: Sequence[AgentEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def finished(events: Sequence[AgentEvent]) -> AnswerFinished:
    assert isinstance(events[-1], AnswerFinished)
    assert sum(isinstance(event, AnswerFinished) for event in events) == 1
    return events[-1]


async def converse(
    agent: Agent, *messages: Mapping[str, Any] | str, **more: Any
) -> list[AgentEvent]:
    """Texts are what the user says; `more` are fields of the conversation."""
    talk = [
        {"role": "user", "content": message} if isinstance(message, str) else message
        for message in messages
    ]
    return [event async for event in agent.answer(Conversation(messages=talk, **more))]


def client_calls(events: Sequence[AgentEvent]) -> tuple[ClientCall, ...]:
    """The calls that the client has to run; none where there are none."""
    return next((event.calls for event in events if isinstance(event, ClientCalls)), ())


def said(text: str) -> dict[str, Any]:
    """An earlier answer as a frontend sends it back."""
    return {"role": "assistant", "content": text}


def function_tool(
    name: str, description: str = "", required: Sequence[str] | None = None, **properties: Any
) -> dict[str, Any]:
    """A client's tool. Properties are texts unless a schema is given."""
    schemas = {key: value or {"type": "string"} for key, value in properties.items()}
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": schemas,
                "required": list(schemas if required is None else required),
            },
        },
    }
