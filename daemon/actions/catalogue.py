"""Every kind of action by name, and how a request becomes a typed action. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from daemon.actions.action import Action, Value
from daemon.actions.errors import ParameterError, UnknownActionError
from daemon.actions.kind import Kind, Parameter

_MOST_TARGET = 300
_SHOWN = 60


class Catalogue:
    """The kinds that this daemon knows."""

    def __init__(self, *, kinds: Iterable[Kind]) -> None:
        """Raises ValueError for two kinds of one name, or an inverse that is none."""
        self._kinds: dict[str, Kind] = {}
        for kind in kinds:
            if self._kinds.setdefault(kind.spec.name, kind) is not kind:
                raise ValueError(f"two kinds of action are called {kind.spec.name}")
        for kind in self:
            if kind.spec.inverse is not None and kind.spec.inverse not in self._kinds:
                raise ValueError(
                    f"{kind.spec.name} is undone by {kind.spec.inverse}, which is none"
                )

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def names(self) -> tuple[str, ...]:
        return tuple(self._kinds)

    def kind(self, name: str) -> Kind:
        """Raises `UnknownActionError`."""
        try:
            return self._kinds[name]
        except KeyError:
            known = ", ".join(self._kinds)
            raise UnknownActionError(
                f"there is no action {name[:_SHOWN]!r}; there are {known}"
            ) from None

    def action(
        self, *, host: str, kind: str, target: str, parameters: Mapping[str, Any] | None = None
    ) -> Action:
        """The typed action, defaults filled in. Whether its target exists is asked of the host
        later. Raises `UnknownActionError`, `ParameterError`."""
        spec = self.kind(kind).spec
        if not target or len(target) > _MOST_TARGET or not target.isprintable():
            raise ParameterError(
                f"the target of {kind} must be 1 to {_MOST_TARGET} printable characters, "
                f"not {target[:_SHOWN]!r}"
            )
        return Action(
            host=host,
            kind=kind,
            target=target,
            parameters=checked_parameters(kind, spec.parameters, parameters or {}),
        )

    def sentence(self, action: Action) -> str:
        """What it does, in words: "restart nginx.service"."""
        return self.kind(action.kind).spec.sentence.format_map(
            {"target": action.target, **action.parameters}
        )


def checked_parameters(
    kind: str, parameters: tuple[Parameter, ...], given: Mapping[str, Any]
) -> dict[str, Value]:
    """Values for all `parameters`, defaults filled in; `kind` is whose they are, for the sentence.
    Raises `ParameterError`."""
    known = {parameter.name for parameter in parameters}
    if unknown := sorted(str(name)[:_SHOWN] for name in given if name not in known):
        takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise ParameterError(f"{kind} has no parameter {', '.join(unknown)}; {takes}")
    return {
        parameter.name: _value(kind, parameter, given.get(parameter.name, parameter.default))
        for parameter in parameters
    }


def _value(kind: str, parameter: Parameter, value: Any) -> Value:
    name = f"{kind}: {parameter.name}"
    if value is None:
        raise ParameterError(f"{name} is missing: {parameter.description}")
    if parameter.type is int and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value):
        value = int(value)  # small models write numbers as texts
    if type(value) is not parameter.type:
        raise ParameterError(
            f"{name} must be {_WORDS[parameter.type]}, not {str(value)[:_SHOWN]!r}"
        )
    size = len(value) if isinstance(value, str) else int(value)
    measure = "have a length of" if isinstance(value, str) else "be"
    if parameter.least is not None and size < parameter.least:
        raise ParameterError(f"{name} must {measure} at least {parameter.least}")
    if parameter.most is not None and size > parameter.most:
        raise ParameterError(f"{name} must {measure} at most {parameter.most}")
    if isinstance(value, str):
        if not value.isprintable():
            raise ParameterError(f"{name} must be printable characters")
        if parameter.choices and value not in parameter.choices:
            allowed = ", ".join(parameter.choices)
            raise ParameterError(f"{name} must be one of {allowed}, not {value[:_SHOWN]!r}")
        if parameter.pattern is not None and not re.fullmatch(parameter.pattern, value):
            raise ParameterError(f"{name} must match {parameter.pattern}, not {value[:_SHOWN]!r}")
    return value


_WORDS = {str: "text", int: "a whole number", bool: "true or false"}
