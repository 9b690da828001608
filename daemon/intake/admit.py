"""The decision that saves model calls: does a model have to look at this pattern, and why?

Pure: what is known of the pattern, the rule, the mutes and the clock go in, a `Decision` comes out.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence

from daemon.intake.mutes import MuteAnswer
from daemon.intake.rules import Rule
from daemon.intake.state import BURST_SECONDS, PatternState
from tiers.vocabulary import Severity


class Why(enum.StrEnum):
    """Why a model looks. Stored with the verdict."""

    NEW = "new"
    RATE = "rate"
    RULE = "rule"
    AGE = "age"
    UNMUTED = "unmuted"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a known pattern is looked at again."""

    rate_factor: float = 8.0
    """... when it comes this many times faster than when it was judged"""
    rate_least: int = 20
    """... and at least this often within a minute"""
    routine_factor: float = 20.0
    routine_least: int = 600
    """The same for what was judged as routine (info): a chatty service is no news."""
    verdict_age: float = 30 * 86400.0
    """... or when its verdict is older than this many seconds"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens with the occurrences of a pattern in one batch.

    `judge` is None when they are folded without a model. `attach` says that they are to be counted
    on an incident, now or once the pending verdict says so. `floor` and `rule` are those in force.
    """

    judge: Why | None
    attach: bool
    muted: bool
    floor: Severity
    rule: str | None


def admit(
    *, state: PatternState, rule: Rule | None, mute: MuteAnswer, now: float, limits: Limits
) -> Decision:
    """Decides about a pattern after a batch was counted into `state`.

    `rule` is the rule that matches the pattern's text, whether or not its burst is reached.
    """
    floor, floor_rule = floor_in_force(state=state, rule=rule)
    if mute is MuteAnswer.MUTED:
        return Decision(judge=None, attach=False, muted=True, floor=floor, rule=floor_rule)
    judge = _why(state=state, floor=floor, mute=mute, now=now, limits=limits)
    pending = judge is not None or state.judging
    escalates = floor.rank >= Severity.WARNING.rank or (
        state.verdict is not None and state.verdict.escalate
    )
    return Decision(
        judge=judge, attach=pending or escalates, muted=False, floor=floor, rule=floor_rule
    )


def speaking(rules: Sequence[Rule], *, state: PatternState) -> Rule | None:
    """Which of the rules that match, worst first, speaks now: the worst whose burst, if it has one,
    is reached; else the worst that still waits for it."""
    for rule in rules:
        if rule.burst is None or _reached(state=state, rule=rule):
            return rule
    return rules[0] if rules else None


def floor_in_force(*, state: PatternState, rule: Rule | None) -> tuple[Severity, str | None]:
    """The severity floor: the worse of the one already in force and the rule's, if its burst (when
    it has one) was reached. A floor, once set, stays."""
    if rule is None:
        return state.floor, state.rule
    if rule.burst is not None and not _reached(state=state, rule=rule):
        return state.floor, state.rule
    if rule.severity.rank > state.floor.rank:
        return rule.severity, rule.name
    return state.floor, state.rule


def _reached(*, state: PatternState, rule: Rule) -> bool:
    """A burst counts as soon as the last occurrences make one, in windows of a minute, and by the
    steady count since first seen, so that an attack is found whatever its pace."""
    if rule.burst is None or rule.name in state.reached:
        return True
    if state.burst >= rule.burst.count and rule.burst.seconds >= BURST_SECONDS:
        return True
    span = max(state.last_seen - state.first_seen, 1.0)
    return state.count >= rule.burst.count and (
        state.count * rule.burst.seconds / span >= rule.burst.count
    )


def _why(
    *, state: PatternState, floor: Severity, mute: MuteAnswer, now: float, limits: Limits
) -> Why | None:
    if state.judging:
        return None
    if state.verdict is None:
        return Why.NEW
    if floor.rank > state.floor.rank and floor.rank > state.verdict.severity.rank:
        return Why.RULE
    rose = mute in (MuteAnswer.ROSE_BY_RATE, MuteAnswer.ROSE_BY_SEVERITY)
    if rose and not state.risen and not state.escalates:
        return Why.UNMUTED  # once, not with every batch while it lasts
    if _came_faster(state=state, severity=state.verdict.severity, limits=limits):
        return Why.RATE
    if now - state.verdict.at > limits.verdict_age:
        return Why.AGE
    return None


def _came_faster(*, state: PatternState, severity: Severity, limits: Limits) -> bool:
    routine = severity is Severity.INFO
    least = max(limits.rate_least, limits.routine_least) if routine else limits.rate_least
    factor = max(limits.rate_factor, limits.routine_factor) if routine else limits.rate_factor
    return state.burst >= least and state.burst >= factor * max(state.judged_burst, 1)
