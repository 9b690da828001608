"""JSON schemas that a client brings: bounded, and without what a server's grammar chokes on. Pure.

A schema only tells the model in which form to write. Checks that are left out here are the
client's own, which reads what was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from tiers.config import ToolLoopSettings
from tiers.errors import TierRefusedError
from tiers.llm.neutralise import neutralise
from tiers.llm.wire import mapping, text_of

_DEEPEST = 24
_MOST_PARTS = 4000
_NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value maps names to schemas."""
_PLAIN = frozenset({"enum", "const", "default", "examples", "required", "type"})
"""Keywords whose value is data."""
_UNFIT = frozenset({"pattern", "patternProperties", "propertyNames"})
"""Regular expressions: servers refuse many, and make slow grammars of others."""
_LIMITS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_MOST_REPEATS = 1000
"""Larger limits become grammars that servers refuse."""


def answer_form(
    options: Mapping[str, Any], *, settings: ToolLoopSettings
) -> Mapping[str, Any] | None:
    """The `response_format` among a client's options; None where prose is asked for. Its schema
    stays as it is: an answer has to keep to all of it. Raises `TierRefusedError`."""
    wanted = options.get("response_format")
    kind = text_of(mapping(wanted).get("type"))
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    given = mapping(mapping(wanted).get("json_schema"))
    if kind != "json_schema" or not given:
        raise TierRefusedError(
            f"response_format {str(wanted)[:80]!r} is not known; send text, json_object or "
            'json_schema with {"name": ..., "schema": ...}.'
        )
    schema = bounded_schema(
        given.get("schema"),
        what="the schema of response_format",
        most_chars=settings.client_tool_chars,
        exact=True,
    )
    name = re.sub(r"[^A-Za-z0-9_-]", "_", text_of(given.get("name")))[:64] or "answer"
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": bool(given.get("strict", True)), "schema": schema},
    }


def bounded_schema(
    schema: object, *, what: str, most_chars: int, exact: bool = False
) -> dict[str, Any]:
    """A copy of an object's schema, fit for an endpoint; `exact` leaves nothing out. `what` names
    it in sentences. Raises `TierRefusedError`."""
    if not isinstance(schema, Mapping):
        raise TierRefusedError(f"{what} is not a JSON schema; send an object such as {{}}.")
    try:
        size = len(orjson.dumps(schema))
    except orjson.JSONEncodeError as error:
        raise TierRefusedError(f"{what} cannot be written as JSON: {error}.") from error
    if size > most_chars:
        raise TierRefusedError(
            f"{what} is too long: {size} characters, {most_chars} are allowed; send a shorter one, "
            "or raise tools.loop.client_tool_chars."
        )
    if schema.get("type", "object") != "object":
        raise TierRefusedError(f'{what} must be the schema of an object ("type": "object").')
    found = _Walk(what, exact=exact).schema(schema, depth=0)
    found["type"] = "object"
    found.setdefault("properties", {})
    return found


class _Walk:
    """Copies one schema and counts its parts."""

    def __init__(self, what: str, *, exact: bool) -> None:
        self._what = what
        self._exact = exact
        self._parts = 0

    def schema(self, value: Mapping[Any, Any], *, depth: int) -> dict[str, Any]:
        self._count(depth)
        kept: dict[str, Any] = {}
        for key, entry in value.items():
            if not self._exact and (key in _UNFIT or (key in _LIMITS and not _small(entry))):
                continue
            if key == "$ref" and not str(entry).startswith("#"):
                raise TierRefusedError(
                    f"{self._what} refers to {str(entry)[:80]!r}; only references within the "
                    "schema itself (#/$defs/...) are followed."
                )
            if key in _NAMED:
                kept[key] = self._named(key, entry, depth=depth)
            elif key in _PLAIN:
                kept[key] = self._data(entry, depth=depth)
            else:
                kept[str(key)] = self._part(entry, depth=depth)
        return kept

    def _named(self, keyword: str, value: object, *, depth: int) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TierRefusedError(f"{self._what}: {keyword} is not an object.")
        return {
            neutralise(str(name)): self._part(entry, depth=depth + 1)
            for name, entry in value.items()
        }

    def _part(self, value: object, *, depth: int) -> Any:
        match value:
            case Mapping():
                return self.schema(value, depth=depth + 1)
            case list():
                self._count(depth)
                return [self._part(entry, depth=depth + 1) for entry in value]
            case _:
                return self._data(value, depth=depth)

    def _data(self, value: object, *, depth: int) -> Any:
        self._count(depth)
        match value:
            case str():
                return neutralise(value)
            case Mapping():
                return {
                    neutralise(str(key)): self._data(entry, depth=depth + 1)
                    for key, entry in value.items()
                }
            case list():
                return [self._data(entry, depth=depth + 1) for entry in value]
            case _:
                return value

    def _count(self, depth: int) -> None:
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            raise TierRefusedError(
                f"{self._what} is too deep or has too many parts ({_DEEPEST} levels and "
                f"{_MOST_PARTS} parts are allowed); send a simpler one."
            )


def _small(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _MOST_REPEATS
