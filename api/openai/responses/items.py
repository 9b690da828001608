"""What a conversation is made of: messages, calls of functions with their outputs, and reasoning.

`wire` is how a client reads an item; `reading` is the way back.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any

HOST_CALLS = "host_"
"""How the `call_id` of a call begins that ran on our side. Clients send these ids back with the
history, so that it can be told from the calls of their own functions."""
HOST_NAMESPACE = "host"
"""The `namespace` of such calls: what tells a client that there is nothing for it to run."""

COMPLETED, IN_PROGRESS, INCOMPLETE = "completed", "in_progress", "incomplete"
STATUSES = (IN_PROGRESS, COMPLETED, INCOMPLETE)


def new_id(prefix: str) -> str:
    """An id that nobody can guess: "msg_" and 40 hexadecimal digits."""
    return f"{prefix}_{secrets.token_hex(20)}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message. `parts` are content parts as OpenAI writes them; those of type `input_text`,
    `output_text` and `refusal` are text, the others are kept and not read."""

    id: str
    role: str
    parts: tuple[Mapping[str, Any], ...]
    status: str = COMPLETED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """A call of a function: the client's, or one of the host's tools. `arguments` is JSON text as
    the model wrote it."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: str = COMPLETED

    @property
    def on_host(self) -> bool:
        return self.call_id.startswith(HOST_CALLS)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOutput:
    """What a call gave: text, or content parts."""

    id: str
    call_id: str
    output: str | tuple[Mapping[str, Any], ...]
    status: str = COMPLETED

    @property
    def on_host(self) -> bool:
        return self.call_id.startswith(HOST_CALLS)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """What the model thought. `encrypted` is another provider's business and only kept."""

    id: str
    content: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    encrypted: str | None = None
    status: str = COMPLETED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Stands for an item that was made or sent before."""

    id: str


Item = Message | FunctionCall | FunctionOutput | Reasoning


def wire(item: Item) -> dict[str, Any]:
    """The item as OpenAI writes it."""
    match item:
        case Message():
            return {
                "id": item.id,
                "type": "message",
                "status": item.status,
                "role": item.role,
                "content": [dict(part) for part in item.parts],
            }
        case FunctionCall():
            call = {
                "id": item.id,
                "type": "function_call",
                "status": item.status,
                "call_id": item.call_id,
                "name": item.name,
                "arguments": item.arguments,
            }
            return {**call, "namespace": HOST_NAMESPACE} if item.on_host else call
        case FunctionOutput(output=output):
            shown = output if isinstance(output, str) else [dict(part) for part in output]
            said = {
                "id": item.id,
                "type": "function_call_output",
                "status": item.status,
                "call_id": item.call_id,
                "output": shown,
            }
            return {**said, "namespace": HOST_NAMESPACE} if item.on_host else said
        case Reasoning():
            thought: dict[str, Any] = {
                "id": item.id,
                "type": "reasoning",
                "status": item.status,
                "summary": [{"type": "summary_text", "text": text} for text in item.summary],
            }
            if item.content:
                thought["content"] = [
                    {"type": "reasoning_text", "text": text} for text in item.content
                ]
            if item.encrypted is not None:
                thought["encrypted_content"] = item.encrypted
            return thought


def input_text(text: str) -> dict[str, Any]:
    """A content part of what a client says."""
    return {"type": "input_text", "text": text}


def output_text(text: str) -> dict[str, Any]:
    """A content part of what the model says."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def text_of(parts: tuple[Mapping[str, Any], ...]) -> str:
    """The text of content parts, a line each. What cannot be read is named, so that the model does
    not answer as if it had seen it."""
    said = []
    for part in parts:
        match part.get("type"):
            case "input_text" | "output_text":
                said.append(str(part.get("text", "")))
            case "refusal":
                said.append(str(part.get("refusal", "")))
            case kind:
                said.append(f"[{kind}: not shown, only text can be read here]")
    return "\n".join(said)
