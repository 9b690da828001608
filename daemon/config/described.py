"""What the models of the settings say of a setting, in words: for the example and the reference."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

_PLAIN = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "text",
}


def described(field: FieldInfo) -> str:
    """The description with what is allowed behind it."""
    limits = ", ".join((*_choices(field.annotation), *_bounds(field.metadata)))
    return " ".join(filter(None, (field.description, f"({limits})" if limits else "")))


def kind_of(field: FieldInfo) -> str:
    """What may be written: "integer, 1 to 65535", "one of auto, off", "list of paths"."""
    return ", ".join((_kind(field.annotation), *_bounds(field.metadata)))


def toml(value: Any) -> str:
    """A default as TOML. Raises TypeError for what has no such form."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str() | Path():
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case tuple() | list():
            return f"[{', '.join(toml(entry) for entry in value)}]"
        case dict():
            entries = (f"{toml(key)} = {toml(entry)}" for key, entry in value.items())
            return f"{{{', '.join(entries)}}}"
        case SecretStr():
            raise TypeError("a secret has no default")
        case _:
            raise TypeError(f"no TOML for a {type(value).__name__}")


def group_of(annotation: Any) -> type[BaseModel] | None:
    """The model of a table whose names are free."""
    if typing.get_origin(annotation) is not dict:
        return None
    inner = typing.get_args(annotation)[1]
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def item_of(annotation: Any) -> type[BaseModel] | None:
    """The model of what a list holds, or of a table that may be left out."""
    if typing.get_origin(annotation) not in (tuple, list, typing.Union, types.UnionType):
        return None
    for inner in typing.get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return None


def _kind(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return ", ".join((_kind(inner[0]), *_bounds(list(inner[1:]))))
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in inner)
    if origin in (typing.Union, types.UnionType):
        kinds = dict.fromkeys(_kind(each) for each in inner if each is not types.NoneType)
        return " or ".join(kinds)
    if origin in (tuple, list, frozenset, set):
        return f"list ({_kind(inner[0])})"
    if origin is dict:
        return f"table ({_kind(inner[0])} = {_kind(inner[1])})"
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return "one of " + ", ".join(str(choice.value) for choice in annotation)
        if issubclass(annotation, BaseModel):
            return "table"
    return _PLAIN[annotation]


def _choices(annotation: Any) -> Iterator[str]:
    if typing.get_origin(annotation) is typing.Literal:
        yield "one of " + ", ".join(str(choice) for choice in typing.get_args(annotation))


def _bounds(metadata: list[Any]) -> Iterator[str]:
    low = high = None
    for limit in metadata:
        match limit:
            case annotated_types.Ge(ge=least):
                low = f"{_number(least)}"
            case annotated_types.Gt(gt=least):
                low = f"above {_number(least)}"
            case annotated_types.Le(le=most) | annotated_types.Lt(lt=most):
                high = f"{_number(most)}"
            case FieldInfo():
                yield from _bounds(limit.metadata)
            case _:
                pass
    if low and high:
        yield f"{low} to {high}"
    elif low:
        yield low if low.startswith("above") else f"at least {low}"
    elif high:
        yield f"at most {high}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
