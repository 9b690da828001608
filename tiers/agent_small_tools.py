"""A client's tools and JSON forms beside a small model, which knows neither: by code. Pure.

The bundled models call the tools that they were trained with and no others; measured, a foreign
tool gets arguments that nobody said. So code calls it, where the question names it and holds what
it needs, and says so where a call is demanded and the question does not.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from tiers.agent_parts import ChatParts
from tiers.agent_turn import Turn
from tiers.arguments import fill, names_in
from tiers.chat_client_tools import Choice, ClientTool
from tiers.chat_contracts import ClientCall
from tiers.contracts import ToolSpec
from tiers.errors import TierRefusedError
from tiers.llm.wire import mapping

_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SAID = re.compile(r"[a-z]+|\d+")
_VERBS_OF_NAMES = """get set list run do fetch tool call make create show find lookup look read use
api fn function query ask check current new by for the of in to a an my user data info execute"""
_VERBS = frozenset(_VERBS_OF_NAMES.split())
_SIMPLE = frozenset({"string", "integer", "number", "boolean"})
_LARGER = "point the meta tier at a larger model"


def code_calls(parts: ChatParts, turn: Turn) -> tuple[ClientCall, ...]:
    """The call of a client's tool that the question is for; none for most questions. Raises
    `TierRefusedError` where a call is demanded and cannot be made."""
    if turn.form is not None and not turn.forced:
        return ()
    tools = turn.tools.tools
    if turn.tools.choice is Choice.NAMED:
        return (_forced(tools[0], turn.question),)
    fitting = [tool for tool in tools if _named_in(tool, turn.question)]
    for tool in fitting:
        if turn.forced or not parts.retriever.confident(turn.question):
            arguments = _arguments(tool, turn.question)
            if arguments is not None and _complete(tool, arguments):
                return (_call(tool, arguments),)
    if not turn.forced:
        return ()
    if fitting or len(tools) == 1:
        return (_forced((fitting or tools)[0], turn.question),)
    raise TierRefusedError(
        "tool_choice is required, and the small bundled model cannot tell which of the request's "
        f"tools fits; name one in tool_choice, or {_LARGER}."
    )


def small_form(form: Mapping[str, Any]) -> str:
    """The key under which the answer stands in the JSON object that is asked for. Raises
    `TierRefusedError` for a form that takes more than one text."""
    if form.get("type") == "json_object":
        return "answer"
    schema = mapping(mapping(form.get("json_schema")).get("schema"))
    properties = mapping(schema.get("properties"))
    wanted = schema.get("required") or list(properties)
    if isinstance(wanted, list) and len(wanted) == 1:
        entry = mapping(properties.get(wanted[0]))
        if entry.get("type") == "string" and not entry.keys() & {"enum", "const", "pattern"}:
            return str(wanted[0])
    raise TierRefusedError(
        "The small bundled model cannot write JSON of this form: it can fill one text field and no "
        f"more; {_LARGER}."
    )


def written(text: str, form: str | None) -> str:
    """The answer in the form that was asked for: `form` is the key of `small_form`."""
    return text if form is None else orjson.dumps({form: text}).decode()


def _named_in(tool: ClientTool, question: str) -> bool:
    """Whether a question holds every word of a tool's name that says something."""
    words = {piece.lower() for piece in _PIECES.findall(tool.name)} - _VERBS
    said = set(_SAID.findall(question.lower()))
    return bool(words) and all(word in said or f"{word}s" in said for word in words)


def _arguments(tool: ClientTool, question: str) -> dict[str, Any] | None:
    """What the question says for it; None where it does not say all."""
    required = tool.parameters.get("required", [])
    properties = mapping(tool.parameters.get("properties"))
    simple = {
        name: schema
        for name, schema in properties.items()
        if mapping(schema).get("type") in _SIMPLE and (name in required or "enum" in schema)
    }
    if not isinstance(required, list) or any(name not in simple for name in required):
        return None
    # The words of the tool's own name are not what it is called with.
    rest = re.sub(
        rf"\b(?:{'|'.join(map(re.escape, _PIECES.findall(tool.name))) or '$^'})\b",
        " ",
        question,
        flags=re.IGNORECASE,
    )
    spec = ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters={"properties": simple, "required": required},
    )
    found = fill(spec, rest)
    if found is None:
        return None
    sure = {name: _sure(value, rest) for name, value in found.items()}
    return {
        name: value
        for name, value in sure.items()
        if value is not None and _is_a(value, simple[name])
    }


def _sure(value: object, question: str) -> object | None:
    """`value`; where it is one of several words that may be names, the one that is written like a
    name; None where there is none or more than one."""
    names = list(dict.fromkeys(names_in(question)))
    if not isinstance(value, str) or value not in names or len(names) == 1:
        return value
    shaped = [name for name in names if not name.islower() and not question.startswith(name)]
    return shaped[0] if len(shaped) == 1 else None


def _is_a(value: object, schema: Mapping[str, Any]) -> bool:
    match schema.get("type"):
        case "integer" | "number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case _:
            return isinstance(value, str)


def _forced(tool: ClientTool, question: str) -> ClientCall:
    arguments = _arguments(tool, question)
    required = tool.parameters.get("required", [])
    if arguments is None or not _complete(tool, arguments):
        raise TierRefusedError(
            f"A call of {tool.name} is demanded, and the small bundled model cannot tell its "
            f"arguments ({', '.join(map(str, required)) or 'none'}) from the question; say them "
            f"plainly, or {_LARGER}."
        )
    return _call(tool, arguments)


def _complete(tool: ClientTool, arguments: Mapping[str, Any]) -> bool:
    return all(name in arguments for name in tool.parameters.get("required", []))


def _call(tool: ClientTool, arguments: Mapping[str, Any]) -> ClientCall:
    return ClientCall(
        call_id=f"call_{secrets.token_hex(8)}",
        name=tool.name,
        arguments=orjson.dumps(dict(arguments)).decode(),
    )
