"""Asks a model for a JSON object: once, and once more with the problem when the answer is bad."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from tiers.contracts import Usage
from tiers.errors import BadAnswerError
from tiers.llm.json_answers import parse_object
from tiers.llm.port import ModelClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import add_usage

_Value = TypeVar("_Value")
_SHOWN_BACK = 1500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[_Value]):
    """What came of it. `value` is None when both answers were bad; then `problem` says what was
    wrong with the last, and `text` is what the model wrote."""

    value: _Value | None
    text: str
    problem: str
    usage: Usage
    repaired: bool


async def ask_json(
    client: ModelClient,
    call: ChatCall,
    *,
    read: Callable[[Mapping[str, Any]], _Value],
) -> Asked[_Value]:
    """`read` turns the decoded object into the value, or raises `BadAnswerError`; its `problem` is
    shown to the model once. Raises every other `TierError`."""
    usage: Usage | None = None
    problem, text = "", ""
    for attempt in range(2):
        asked = call if attempt == 0 else _again(call, text=text, problem=problem)
        try:
            answer = await client.chat(asked)
            text = answer.text
            usage = answer.usage if usage is None else add_usage(usage, answer.usage)
            try:
                value = read(parse_object(text, name=client.name))
            except BadAnswerError as error:
                if answer.finish_reason != "length":
                    raise
                raise BadAnswerError(
                    f"{client.name}: the answer was longer than {client.max_tokens} tokens",
                    problem="the answer was cut off because it was too long; keep texts short",
                    answer=error.answer,
                ) from error
        except BadAnswerError as error:
            problem = error.problem
            text = text or error.answer
            continue
        return Asked(value=value, text=text, problem="", usage=usage, repaired=attempt > 0)
    return Asked(
        value=None,
        text=text,
        problem=problem,
        usage=usage or _no_usage(client),
        repaired=True,
    )


def _again(call: ChatCall, *, text: str, problem: str) -> ChatCall:
    messages = list(call.messages)
    if text:
        messages.append({"role": "assistant", "content": text[:_SHOWN_BACK]})
    order = f"That answer cannot be used: {problem}. Answer again with the JSON object alone."
    messages.append({"role": "user", "content": order})
    return dataclasses.replace(call, messages=messages)


def _no_usage(client: ModelClient) -> Usage:
    """For calls that failed without telling what they cost."""
    return Usage(
        model=client.model,
        endpoint=client.url,
        prompt_tokens=0,
        completion_tokens=0,
        seconds=0.0,
        calls=2,
    )
