"""What the operator sets about acting."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from daemon.actions.policy.facts import Autonomy
from daemon.actions.policy.globs import check_action_glob, check_target_glob
from daemon.actions.policy.spans import parse_span


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitsSettings(_Section):
    """How much is done, and how often. Times are hours where the name says so."""

    per_hour: int = Field(10, ge=0, description="actions begun without a human in an hour")
    per_kind_per_hour: int = Field(5, ge=0, description="... of one kind")
    per_target_per_hour: int = Field(2, ge=0, description="... on one target")
    waiting: int = Field(20, ge=1, le=1000, description="proposals that wait at once")
    strikes: int = Field(
        2, ge=1, description="failures of an action on a target after which it is denied"
    )
    strike_hours: float = Field(24.0, gt=0, description="hours for which failures count")


class PolicySettings(_Section):
    """Who may do what: see docs/safety.md."""

    autonomy: Autonomy = Field(
        Autonomy.SUGGEST,
        description="observe: report; suggest: propose to a human; auto-safe: do what is "
        "reversible and low-risk; auto-full: do what policy allows, ask for high risk",
    )
    deny: tuple[str, ...] = Field(
        (), description='never: globs of "kind" or "kind:target", such as "nixos_*"'
    )
    ask: tuple[str, ...] = Field((), description="always ask a human: globs as in deny")
    targets: tuple[str, ...] = Field(
        (),
        description="globs of targets that auto-safe may act on; empty: all that are not critical",
    )
    named: tuple[str, ...] = Field(
        (), description="globs of critical targets that may be proposed all the same"
    )
    quiet: str | None = Field(
        None, description='hours without automatic actions, "22:00-07:00"; then a human is asked'
    )
    windows: tuple[str, ...] = Field(
        (),
        description='maintenance windows, "Sun 02:00-04:00" or "02:00-04:00", outside of which '
        "what is disruptive and not low-risk asks; empty: always",
    )
    limits: LimitsSettings = Field(default_factory=LimitsSettings)

    @field_validator("deny", "ask")
    @classmethod
    def _actions(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_action_glob(glob) for glob in globs)

    @field_validator("targets", "named")
    @classmethod
    def _targets(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_target_glob(glob) for glob in globs)

    @field_validator("quiet")
    @classmethod
    def _quiet(cls, quiet: str | None) -> str | None:
        if quiet is not None:
            parse_span(quiet)
        return quiet

    @field_validator("windows")
    @classmethod
    def _windows(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        for window in windows:
            parse_span(window)
        return windows
