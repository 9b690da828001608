"""Items as the chat messages that the agent is asked with. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from api.errors import WrongParameterError
from api.openai.marks import defused, without_tool_details
from api.openai.responses.items import (
    FunctionCall,
    FunctionOutput,
    Item,
    Message,
    Reasoning,
    text_of,
)

_ROLES = {"developer": "system"}


def chat_messages(items: Sequence[Item], *, instructions: str | None) -> list[dict[str, Any]]:
    """OpenAI chat messages, oldest first, `instructions` before all.

    Calls of the client's functions become `tool_calls` with their outputs right behind them. What
    ran on the host is left out: the agent remembers it itself, and from a client nobody vouches
    for it. Reasoning is left out too, and the marks that code put into earlier answers. Raises
    `WrongParameterError` for calls and outputs that do not belong together, and where nobody asks
    anything.
    """
    outputs = _outputs_by_call(items)
    talk = _Talk(outputs)
    if instructions:
        talk.say("system", instructions)
    for item in items:
        match item:
            case Message(role="assistant"):
                talk.say("assistant", defused(without_tool_details(text_of(item.parts))))
            case Message(role=role):
                talk.say(_ROLES.get(role, role), text_of(item.parts))
            case FunctionCall(on_host=False):
                talk.call(item)
            case FunctionOutput(on_host=False):
                talk.end_turn()
            case FunctionCall() | FunctionOutput() | Reasoning():
                pass
    talk.end_turn()
    if not any(message["role"] == "user" for message in talk.messages):
        raise WrongParameterError("holds no text of a user to answer", param="input")
    return talk.messages


def _outputs_by_call(items: Sequence[Item]) -> dict[str, str]:
    """What each of the client's calls gave, once it is sure that each has exactly one output,
    after it."""
    called: set[str] = set()
    outputs: dict[str, str] = {}
    for item in items:
        if isinstance(item, FunctionCall) and not item.on_host:
            if item.call_id in called:
                raise WrongParameterError(
                    f"the call {item.call_id} is there twice; with previous_response_id send"
                    " only what is new",
                    param="input",
                )
            called.add(item.call_id)
        if isinstance(item, FunctionOutput) and not item.on_host:
            if item.call_id not in called:
                raise WrongParameterError(
                    f"No tool call found for function call output with call_id {item.call_id}",
                    param="input",
                )
            if item.call_id in outputs:
                raise WrongParameterError(
                    f"there are two outputs of the call {item.call_id}", param="input"
                )
            output = item.output
            outputs[item.call_id] = output if isinstance(output, str) else text_of(output)
    if open_calls := called - outputs.keys():
        raise WrongParameterError(
            f"No tool output found for function call {min(open_calls)}; send a"
            " function_call_output item for it",
            param="input",
        )
    return outputs


def _object_text(arguments: str) -> str:
    """Arguments as servers take them: the text of a JSON object, whatever a model wrote."""
    try:
        read = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        read = None
    if isinstance(read, dict):
        return arguments or "{}"
    return orjson.dumps({"unreadable": arguments}).decode()


class _Talk:
    """Messages in the making. What the model said before and after a look-up is one turn of it:
    its texts are gathered until something else comes."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.messages: list[dict[str, Any]] = []
        self._outputs = outputs
        self._texts: list[str] = []
        self._calls: list[dict[str, Any]] = []

    def say(self, role: str, text: str) -> None:
        if self._calls or role != "assistant":
            self.end_turn()
        if not text:
            return
        if role == "assistant":
            self._texts.append(text)
        else:
            self.messages.append({"role": role, "content": text})

    def call(self, call: FunctionCall) -> None:
        function = {"name": call.name, "arguments": _object_text(call.arguments)}
        self._calls.append({"id": call.call_id, "type": "function", "function": function})

    def end_turn(self) -> None:
        """The model's turn is over: its calls are followed by what they gave."""
        text = "\n\n".join(self._texts)
        if self._calls:
            self.messages.append(
                {"role": "assistant", "content": text or None, "tool_calls": self._calls}
            )
        elif text:
            self.messages.append({"role": "assistant", "content": text})
        for call in self._calls:
            self.messages.append(
                {"role": "tool", "tool_call_id": call["id"], "content": self._outputs[call["id"]]}
            )
        self._texts, self._calls = [], []
