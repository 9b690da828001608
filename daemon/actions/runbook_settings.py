"""How the operator writes runbooks, and what of a mistake in one can be told at once."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from daemon.actions.catalogue import checked_parameters
from daemon.actions.errors import ParameterError
from daemon.actions.kind import Parameter
from daemon.actions.runbook import Runbook, Step, places

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TYPES = {"text": str, "number": int, "switch": bool}


class RunbookParameterSettings(BaseModel):
    """What whoever runs it fills in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text", "number", "switch"] = Field("text", description="what its value is")
    description: str = Field(description="what it is, for who fills it in")
    default: StrictBool | StrictInt | StrictStr | None = Field(
        None, description="its value where none is given; without it one has to be given"
    )
    least: int | None = Field(None, description="the least number, or length of a text")
    most: int | None = Field(None, description="the greatest number, or length of a text")
    choices: tuple[str, ...] = Field((), description="all that a text may be")
    pattern: str | None = Field(
        None, description="a regular expression that a text has to match as a whole"
    )

    def parameter(self, name: str) -> Parameter:
        return Parameter(
            name=name,
            type=_TYPES[self.type],
            description=self.description,
            default=self.default,
            least=self.least,
            most=self.most,
            choices=self.choices,
            pattern=self.pattern,
        )


class RunbookStepSettings(BaseModel):
    """One action."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str = Field(description="its kind: restart_unit")
    target: str = Field(description='what it is done to: web.service, or "{unit}"')
    parameters: dict[str, StrictBool | StrictInt | StrictStr] = Field(
        default_factory=dict, description="what the kind takes"
    )

    def step(self) -> Step:
        return Step(kind=self.action, target=self.target, parameters=self.parameters)


class RunbookSettings(BaseModel):
    """A sequence of actions, which stops at the first that does not work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = Field(description="what it is good for, in a sentence")
    steps: tuple[RunbookStepSettings, ...] = Field(
        min_length=1,
        max_length=20,
        description='in order: {action = "restart_unit", target = "web.service"}; a target and '
        'each of its parameters may be "{name}" as a whole, for a parameter of the runbook',
    )
    parameters: dict[str, RunbookParameterSettings] = Field(
        default_factory=dict,
        description='what is filled in, each with type = "text", "number" or "switch", a '
        "description, and default, least, most, choices, pattern as wanted",
    )

    def runbook(self, name: str) -> Runbook:
        return Runbook(
            name=name,
            description=self.description,
            steps=tuple(step.step() for step in self.steps),
            parameters=tuple(
                parameter.parameter(each) for each, parameter in self.parameters.items()
            ),
        )

    @model_validator(mode="after")
    def _whole(self) -> RunbookSettings:
        for name, settings in self.parameters.items():
            if not _PARAMETER.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a parameter; use a-z, 0-9 and _")
            if settings.pattern is not None:
                _require_pattern(settings.pattern)
            if settings.default is not None:
                _require_default(name, settings)
        for number, step in enumerate(self.steps, 1):
            if unknown := sorted(places(step.step()) - set(self.parameters)):
                raise ValueError(
                    f"step {number} is filled with {unknown[0]!r}, which is no parameter of it"
                )
        return self


def _require_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def _require_default(name: str, settings: RunbookParameterSettings) -> None:
    try:
        checked_parameters("default", (settings.parameter(name),), {name: settings.default})
    except ParameterError as error:
        raise ValueError(str(error)) from error
