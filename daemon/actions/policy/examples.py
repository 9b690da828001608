"""An operator's examples of what policy shall say, and whether it does. Pure.

[[example]]
kind = "restart_unit"
target = "nginx.service"
level = "auto-safe"      # else the configuration's
basis = "systemd"        # or kernel, measured, operator, text
origin = "tier"          # or chat, operator, inverse
at = "Sun 03:00"         # or "03:00"; else at noon
expect = "allow"         # or ask, deny
rule = "safe"            # the rule that has to say so; may be left out
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import ActionFacts, Autonomy, Decision, Origin, Past, Verdict
from daemon.actions.policy.rules import RULES, TOO_MANY_WAITING
from daemon.actions.policy.settings import PolicySettings
from daemon.actions.policy.suppose import suppose
from tiers.vocabulary import Provenance

RULE_NAMES = tuple(rule.name for rule in (*RULES, TOO_MANY_WAITING))
_MOMENT = re.compile(r"(?:([A-Za-z]{3}) )?([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
_HOST = "example"


class ExamplesError(Exception):
    """The file is no list of examples. The message has a sentence a line."""


class Example(BaseModel):
    """One example. `past` sets what happened before: failures, in_hour, waiting and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    target: str
    parameters: dict[str, str | int | bool] = Field(default_factory=dict)
    level: Autonomy | None = None
    basis: Provenance = Provenance.SYSTEMD
    origin: Origin = Origin.TIER
    at: str = "Wed 12:00"
    stopped: bool = False
    past: dict[str, int | bool] = Field(default_factory=dict)
    expect: Verdict
    rule: str | None = None
    why: str = Field("", description="for people: what the example is there for")

    @pydantic.field_validator("at")
    @classmethod
    def _at(cls, at: str) -> str:
        moment(at)
        return at

    @pydantic.field_validator("rule")
    @classmethod
    def _rule(cls, rule: str | None) -> str | None:
        if rule is not None and rule not in RULE_NAMES:
            raise ValueError(f"there is no rule {rule!r}; there are {', '.join(RULE_NAMES)}")
        return rule

    @pydantic.field_validator("past")
    @classmethod
    def _past(cls, past: dict[str, int | bool]) -> dict[str, int | bool]:
        known = [field.name for field in dataclasses.fields(Past)]
        for name, value in past.items():
            if name not in known or value < 0:
                raise ValueError(f"{name} = {value} is none of {', '.join(known)}, from 0 on")
        return past

    @property
    def title(self) -> str:
        """What it is about: "restart_unit nginx.service, on systemd, for tier at auto-safe"."""
        level = "" if self.level is None else f" at {self.level.value}"
        said = f"{self.kind} {self.target}, on {self.basis.value}, for {self.origin.value}{level}"
        return said if self.at == "Wed 12:00" else f"{said}, {self.at}"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    example: tuple[Example, ...] = Field(min_length=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An example, and what policy said. `problem` is empty where it said what was expected."""

    example: Example
    decision: Decision | None
    problem: str


def parse_examples(text: str) -> tuple[Example, ...]:
    """Raises `ExamplesError`."""
    try:
        return _File.model_validate(tomllib.loads(text)).example
    except pydantic.ValidationError as error:
        raise ExamplesError("\n".join(map(_sentence, error.errors()))) from error
    except (ValueError, RecursionError) as error:
        raise ExamplesError(f"not valid TOML: {error}") from error


def try_examples(
    examples: Sequence[Example],
    *,
    settings: PolicySettings,
    catalogue: Catalogue,
    critical: Sequence[str] = (),
) -> list[Tried]:
    """Each held against the policy. `critical` are the operator's globs of critical targets."""
    return [_tried(example, settings, catalogue, critical) for example in examples]


def moment(text: str) -> datetime:
    """A time of the week, "Sun 03:00" or "03:00" (a Wednesday then). Raises `ValueError`."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None or (match[1] or "wed").lower() not in _DAYS:
        raise ValueError(f'{text!r} is no time of the week: write it as "Sun 03:00" or "03:00"')
    day = _DAYS.index((match[1] or "wed").lower())
    return _MONDAY + timedelta(days=day, hours=int(match[2]), minutes=int(match[3]))


def _tried(
    example: Example, settings: PolicySettings, catalogue: Catalogue, critical: Sequence[str]
) -> Tried:
    policy = settings
    if example.level is not None:
        policy = settings.model_copy(update={"autonomy": example.level})
    try:
        facts = _facts(example, catalogue, critical)
    except ActionError as error:
        return Tried(example=example, decision=None, problem=str(error))
    decision = decide(facts, policy)
    problem = ""
    if decision.verdict is not example.expect or example.rule not in (None, decision.rule):
        wanted = (
            example.expect.value
            if example.rule is None
            else f"{example.expect.value} by {example.rule}"
        )
        problem = (
            f"expected {wanted}, but it is {decision.verdict.value} by {decision.rule}: "
            f"{decision.reason}"
        )
    return Tried(example=example, decision=decision, problem=problem)


def _facts(example: Example, catalogue: Catalogue, critical: Sequence[str]) -> ActionFacts:
    action = catalogue.action(
        host=_HOST, kind=example.kind, target=example.target, parameters=example.parameters
    )
    past: dict[str, Any] = dict(example.past)
    return suppose(
        action,
        catalogue.kind(example.kind),
        at=moment(example.at),
        basis=example.basis,
        origin=example.origin,
        past=Past(**past),
        stopped=example.stopped,
        critical_globs=critical,
    )


def _sentence(problem: Any) -> str:
    location = [part for part in problem["loc"] if part != "example"]
    where = "the file"
    if location and isinstance(location[0], int):
        where = f"example {location[0] + 1}"
        location = location[1:]
    name = ".".join(str(part) for part in location if part != "[key]")
    said = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        allowed = Example.model_fields if where != "the file" else _File.model_fields
        said = f"no such entry; there are {', '.join(allowed)}"
    elif problem["type"] == "tuple_type":
        name, said = "", "write each example as a table of its own, [[example]]"
    elif problem["type"] == "missing":
        said = "is missing; an example needs kind, target and expect"
        if where == "the file":
            name, said = "", "it holds no [[example]]"
    return f"{where}: {name}: {said}" if name else f"{where}: {said}"
