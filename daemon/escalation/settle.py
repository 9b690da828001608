"""What is made of a tier's answer. Pure: `tiers.ladder` says the way, this says what happens.

A model can raise a severity, never lower it. Acting is not among the things that happen here: what
a tier asks for is recorded as a suggestion, and the incident waits for its measured end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import TypeVar

from daemon.escalation.states import Happening
from tiers.contracts import ActionRequest, Assessment, Case, Disposition, Plan
from tiers.ladder import LadderRules, Next, Step, after_plan, after_review
from tiers.vocabulary import Severity

_MAX_REASON = 2_000
_HAPPENINGS = {
    Step.CLOSE: Happening.SETTLED_CLOSE,
    Step.WATCH: Happening.SETTLED_WATCH,
    Step.ACT: Happening.SETTLED_WATCH,
    Step.ESCALATE: Happening.SETTLED_ESCALATE,
    Step.ATTENTION: Happening.SETTLED_ESCALATE,
}
_DISPOSITIONS = {
    Step.CLOSE: Disposition.CLOSE,
    Step.WATCH: Disposition.WATCH,
    Step.ACT: Disposition.ACT,
    Step.ESCALATE: Disposition.ESCALATE,
    Step.ATTENTION: Disposition.ESCALATE,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The happening that follows, the disposition to record, and why in a sentence."""

    happening: Happening
    disposition: Disposition
    severity: Severity
    reason: str


_Answer = TypeVar("_Answer", Assessment, Plan)


def within_case(answer: _Answer, *, case: Case) -> _Answer:
    """An answer without what the case does not hold: citations of evidence that is not there, and
    actions that were not offered. Tiers check that too; what is recorded rests on this."""
    refs = {entry.ref for entry in case.evidence}
    offered = {choice.code for choice in case.actions}
    cited = tuple(ref for ref in answer.evidence if ref in refs)
    if isinstance(answer, Assessment):
        return dataclasses.replace(
            answer, evidence=cited, actions=_offered(answer.actions, offered, refs)
        )
    return dataclasses.replace(answer, evidence=cited, steps=_offered(answer.steps, offered, refs))


def _offered(
    actions: Sequence[ActionRequest], offered: Collection[str], refs: Collection[str]
) -> tuple[ActionRequest, ...]:
    return tuple(
        dataclasses.replace(action, evidence=tuple(r for r in action.evidence if r in refs))
        for action in actions
        if action.code in offered
    )


def settle_assessment(answer: Assessment, *, case: Case, rules: LadderRules) -> Settlement:
    """What follows from the review tier's answer."""
    cited = frozenset(e.provenance for e in case.evidence if e.ref in answer.evidence)
    following = after_review(answer, rules=rules, floor=case.severity, provenances=cited)
    return _settlement(following, answer, severity=case.severity)


def settle_plan(answer: Plan, *, case: Case) -> Settlement:
    """What follows from the meta tier's plan."""
    return _settlement(after_plan(answer, floor=case.severity), answer, severity=case.severity)


def _settlement(following: Next, answer: Assessment | Plan, *, severity: Severity) -> Settlement:
    return Settlement(
        happening=_HAPPENINGS[following.step],
        disposition=_DISPOSITIONS[following.step],
        severity=severity.at_least(answer.severity),
        reason=f"{following.reason.value}; {answer.cause}: {answer.summary}"[:_MAX_REASON],
    )
