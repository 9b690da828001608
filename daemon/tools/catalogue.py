"""The tools as models see them, and the check of the arguments that models give."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiers.contracts import ToolSpec

_FILE = Path(__file__).with_name("catalogue.toml")
_MAX_TEXT = 500
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class ArgumentError(Exception):
    """The arguments do not fit the tool. The sentence says what is expected."""


@functools.cache
def tool_specs() -> tuple[ToolSpec, ...]:
    """All tools, in the order of the catalogue."""
    document = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        ToolSpec(
            name=entry["name"],
            description=entry["description"],
            parameters=_schema(entry["parameters"]),
            phrases=tuple(entry["phrases"]),
        )
        for entry in document["tool"]
    )


def _schema(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    properties = {
        name: {key: value for key, value in entry.items() if key != "required"}
        for name, entry in parameters.items()
    }
    required = [name for name, entry in parameters.items() if entry.get("required")]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def checked_arguments(spec: ToolSpec, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with defaults filled in and numbers in words' clothing ("30") made numbers.

    Null and empty optional arguments count as left out. Raises `ArgumentError`.
    """
    properties: Mapping[str, Mapping[str, Any]] = spec.parameters["properties"]
    if not isinstance(arguments, Mapping):
        raise ArgumentError(f"{spec.name}: arguments must be an object")
    if unknown := sorted(str(name) for name in arguments if name not in properties):
        raise ArgumentError(
            f"{spec.name} has no argument {', '.join(unknown)[:200]}; "
            f"it takes {', '.join(properties) or 'none'}"
        )
    checked: dict[str, Any] = {}
    for name, schema in properties.items():
        value = arguments.get(name)
        if value is None or value == "":
            if name in spec.parameters["required"]:
                raise ArgumentError(f"{spec.name} needs {name}: {schema.get('description', '')}")
            if "default" in schema:
                checked[name] = schema["default"]
            continue
        checked[name] = _checked(spec.name, name, schema, value)
    return checked


def _checked(tool: str, name: str, schema: Mapping[str, Any], value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > 64:
        raise ArgumentError(f"{tool}: {name} is a number that nothing here can be")
    if schema["type"] == "integer":
        try:
            whole = isinstance(value, float) and value.is_integer()
            number = int(value) if whole else int(str(value).strip())
        except ValueError:
            message = f"{tool}: {name} must be a whole number, not {str(value)[:40]!r}"
            raise ArgumentError(message) from None
        if not 0 < number <= 1_000_000:
            raise ArgumentError(f"{tool}: {name} must be between 1 and 1000000, not {number}")
        return number
    if isinstance(value, bool | dict | list):
        raise ArgumentError(f"{tool}: {name} must be a text")
    text = str(value).strip()
    if len(text) > _MAX_TEXT:
        raise ArgumentError(f"{tool}: {name} is longer than {_MAX_TEXT} characters")
    if _CONTROL.search(text):
        raise ArgumentError(f"{tool}: {name} holds control characters")
    if "enum" in schema and text not in schema["enum"]:
        raise ArgumentError(f"{tool}: {name} must be one of {', '.join(schema['enum'])}")
    return text
