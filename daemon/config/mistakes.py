"""Mistakes in the configuration as sentences: where, what, what is allowed; secrets never."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from daemon.config.locate import line_of
from daemon.config.settings import Settings

_SECRETS = ("password", "key", "token", "dsn", "secret")
_CREDENTIALS = re.compile(r"://[^/@\s]*@")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where settings came from: a file and its text, and variables by the keys that they set."""

    path: Path | None
    text: str
    overrides: Mapping[tuple[str, ...], str]

    def of(self, location: Sequence[str | int]) -> str:
        """ "$VARIABLE", "FILE:LINE", "FILE" or "defaults"."""
        names = tuple(part for part in location if isinstance(part, str))
        for keys, variable in self.overrides.items():
            if names[: len(keys)] == keys:
                return f"${variable}"
        line = line_of(self.text, location)
        if line is not None:
            return f"{self.path}:{line}"
        # What is missing or does not fit together may have been said in the environment alone.
        for keys, variable in self.overrides.items():
            if keys[: len(names)] == names:
                return f"${variable}"
        return str(self.path or "defaults")


def sentence(problem: Any, origin: Origin) -> str:
    """One of pydantic's errors as a sentence for people."""
    location: tuple[str | int, ...] = problem["loc"]
    dotted = ".".join(str(part) for part in location)
    where = f"{origin.of(location)}: {dotted}" if dotted else origin.of(location)
    if problem["type"] == "extra_forbidden":
        allowed = allowed_names(location)
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        return f"{where}: no such setting{hint} Allowed here: {', '.join(allowed)}"
    said = str(problem["msg"]).removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    if problem["type"] == "missing":
        return f"{where}: this setting is required here"
    return f"{where}: {said}{_shown(dotted, problem.get('input'))}"


def unfit(document: Mapping[str, Any], origin: Origin) -> list[str]:
    """Values that TOML allows and no setting can mean: infinite numbers, zero bytes in texts."""
    found = []
    for location, value in _leaves(document, ()):
        dotted = ".".join(str(part) for part in location)
        if isinstance(value, float) and not math.isfinite(value):
            found.append(f"{origin.of(location)}: {dotted}: must be a finite number (got {value})")
        elif isinstance(value, str) and re.search("[\0\ud800-\udfff]", value):
            found.append(f"{origin.of(location)}: {dotted}: must be UTF-8 text without zero bytes")
    return found


def allowed_names(location: Sequence[str | int]) -> list[str]:
    """The names that are allowed where an unknown one stands."""
    annotation: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        model = _model_in(annotation)
        if model is not None:
            field = model.model_fields.get(part)
            if field is None:
                return []
            annotation = field.annotation
        else:
            annotation = _values_of(annotation)
    model = _model_in(annotation)
    return sorted(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[pydantic.BaseModel] | None:
    """The model that an annotation is, or that it holds a list or an option of; not that of a
    table with free names."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            if (model := _model_in(argument)) is not None:
                return model
    return None


def _values_of(annotation: Any) -> Any:
    """What stands behind the free names of a table."""
    arguments = typing.get_args(annotation)
    return arguments[1] if typing.get_origin(annotation) is dict else None


def _leaves(
    value: Any, location: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _leaves(below, (*location, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _leaves(below, (*location, index))
    else:
        yield location, value


def _shown(dotted: str, value: Any) -> str:
    """What was given, where showing it helps and harms nobody."""
    if not isinstance(value, str | int | float):
        return f" (got {_kind(value)})"
    last = dotted.rpartition(".")[2].lower()
    if any(word in last for word in _SECRETS) and not last.endswith("_file"):
        return ""
    shown = _CREDENTIALS.sub("://(not shown)@", repr(value))
    return f" (got {shown if len(shown) <= 80 else shown[:77] + '...'})"


def _kind(value: Any) -> str:
    if isinstance(value, Mapping | pydantic.BaseModel):
        return "a section"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"
