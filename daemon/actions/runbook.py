"""A runbook: a sequence of actions that the operator wrote, with typed parameters. Pure.

"{name}" as a whole target, or as a whole value of a step's parameter, stands for a parameter of the
runbook. It is never a part of a text, so that no value can turn a step into another one; and each
step is a typed action of the catalogue after all.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from daemon.actions.action import Action, Value
from daemon.actions.catalogue import Catalogue, checked_parameters
from daemon.actions.errors import ParameterError
from daemon.actions.kind import Parameter

PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action as it was written, places included."""

    kind: str
    target: str
    parameters: Mapping[str, Value] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """`name` is what it is called as a target."""

    name: str
    description: str
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()


def arguments_of(runbook: Runbook, text: str) -> dict[str, Value]:
    """The values of a runbook's parameters, from a JSON object. Raises `ParameterError`."""
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ParameterError(f"the arguments of {runbook.name} are no JSON: {error}") from None
    if not isinstance(given, dict):
        raise ParameterError(f"the arguments of {runbook.name} are no JSON object")
    return checked_parameters(f"runbook {runbook.name}", runbook.parameters, given)


def actions_of(
    runbook: Runbook, values: Mapping[str, Value], *, host: str, catalogue: Catalogue
) -> Sequence[Action]:
    """The steps as typed actions, in order. Raises `UnknownActionError`, `ParameterError`."""
    actions = []
    for number, step in enumerate(runbook.steps, 1):
        target = _filled(step.target, values)
        if not isinstance(target, str):
            raise ParameterError(f"step {number} of {runbook.name}: its target is no text")
        parameters: dict[str, Any] = {
            name: _filled(value, values) for name, value in step.parameters.items()
        }
        actions.append(
            catalogue.action(host=host, kind=step.kind, target=target, parameters=parameters)
        )
    return actions


def places(step: Step) -> frozenset[str]:
    """The names of the parameters that a step is filled with. Raises ValueError for a brace that
    is a part of a text."""
    texts = [value for value in (step.target, *step.parameters.values()) if isinstance(value, str)]
    found = set()
    for text in texts:
        if match := PLACE.fullmatch(text):
            found.add(match[1])
        elif "{" in text or "}" in text:
            raise ValueError(
                f"{text!r}: a parameter is the whole of a value, such as '{{name}}', and never a "
                "part of it"
            )
    return frozenset(found)


def _filled(value: Value, values: Mapping[str, Value]) -> Value:
    match = PLACE.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value
