"""The client's functions, which of them the model may call, and the form of the answer: read as
OpenAI's Responses API writes them, and handed on as its chat API does. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from api.errors import WrongParameterError
from api.openai.responses.requests import TextFormat
from api.text import fit

Choice = str | Mapping[str, Any] | None
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,128}\Z")
_MODES = ("none", "auto", "required")
_NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientTools:
    """`wire` and `wire_choice` are how the response states them; `tools` and `choice` are what the
    agent gets."""

    wire: tuple[Mapping[str, Any], ...]
    wire_choice: str | Mapping[str, Any]
    tools: tuple[Mapping[str, Any], ...]
    choice: Choice


def read_tools(raw: Sequence[Mapping[str, Any]], choice: Any) -> ClientTools:
    """`choice` is what the client sent. Raises `WrongParameterError`."""
    wire = tuple(_function(tool, f"tools.{at}") for at, tool in enumerate(raw))
    names = [str(tool["name"]) for tool in wire]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise WrongParameterError(
                f"there are two functions named {name!r}; give each a name of its own",
                param=f"tools.{at}.name",
            )
    mode, allowed = _choice(choice, names)
    offered = tuple(_for_chat(tool) for tool in wire if tool["name"] in allowed)
    return ClientTools(
        wire=wire,
        wire_choice="auto" if choice is None else choice,
        tools=() if mode == "none" else offered,
        choice=(mode or "auto") if offered and mode != "none" else None,
    )


def _function(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = raw.get("type")
    if kind != "function":
        raise WrongParameterError(
            f"tools of type {fit(str(kind))[:60]!r} do not exist here; bring functions (type"
            " 'function'), and triaged looks things up on its host by itself",
            param=f"{where}.type",
            code="unsupported_parameter",
        )
    name = raw.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise WrongParameterError(
            "must be 1 to 128 letters, digits and any of _ . -", param=f"{where}.name"
        )
    description = raw.get("description")
    if description is not None and not isinstance(description, str):
        raise WrongParameterError("must be text", param=f"{where}.description")
    parameters = raw.get("parameters")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise WrongParameterError("must be a JSON schema of an object", param=f"{where}.parameters")
    strict = raw.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise WrongParameterError("must be true or false", param=f"{where}.strict")
    return {
        "type": "function",
        "name": name,
        "description": None if description is None else fit(description),
        "parameters": parameters,
        "strict": True if strict is None else strict,
    }


def _for_chat(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool["name"],
            "description": tool["description"] or "",
            "parameters": tool["parameters"] or _NOTHING,
        },
    }


def _choice(raw: Any, names: Sequence[str]) -> tuple[Choice, Sequence[str]]:
    """The choice as the chat API writes it, and the functions that are left."""
    match raw:
        case None:
            return None, names
        case str():
            return _mode(raw, names), names
        case {"type": "function"}:
            return {"type": "function", "function": {"name": _known(raw, names)}}, names
        case {"type": "allowed_tools", "tools": [*listed]}:
            allowed = [_known(entry, names) for entry in listed]
            return _mode(raw.get("mode", "auto"), allowed), allowed
    raise WrongParameterError(
        f"must be one of {', '.join(_MODES)}, or name functions (types function, allowed_tools)",
        param="tool_choice",
    )


def _mode(mode: Any, names: Sequence[str]) -> str:
    if mode not in _MODES:
        raise WrongParameterError(
            f"must be one of {', '.join(_MODES)}, or name a function", param="tool_choice"
        )
    if mode == "required" and not names:
        raise WrongParameterError("'required' needs functions in tools", param="tool_choice")
    return str(mode)


def _known(entry: Any, names: Sequence[str]) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or name not in names:
        raise WrongParameterError(
            f"there is no function {fit(str(name))[:60]!r} in tools", param="tool_choice"
        )
    return name


def response_format(wanted: TextFormat | None) -> dict[str, Any] | None:
    """`text.format` as the chat API writes it, None for plain text. Raises
    `WrongParameterError`."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "json_object"}
    if wanted.name is None:
        raise WrongParameterError("is missing", param="text.format.name")
    if wanted.schema_ is None:
        raise WrongParameterError("is missing", param="text.format.schema")
    schema: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema_}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}
