"""Which way an incident goes after a tier has answered. Pure.

`close` and `watch` leave it to the measured condition; `escalate` gives it to the next tier;
`act` hands typed actions to policy; `attention` asks a human, because no tier is left.
"""

from __future__ import annotations

import dataclasses
import enum

from tiers.contracts import INSUFFICIENT_EVIDENCE, Assessment, Disposition, Plan
from tiers.vocabulary import Provenance, Severity


class Step(enum.StrEnum):
    """What happens next."""

    CLOSE = "close"
    WATCH = "watch"
    ACT = "act"
    ESCALATE = "escalate"
    ATTENTION = "attention"


class Reason(enum.StrEnum):
    """Why. One word each, for the ledger."""

    NOTHING_TO_DO = "nothing-to-do"
    WAIT_FOR_CONDITION = "wait-for-condition"
    ACTION_ASKED = "action-asked"
    TIER_ASKED = "tier-asked"
    INSUFFICIENT_EVIDENCE = "insufficient-evidence"
    UNUSABLE_ANSWER = "unusable-answer"
    LOW_CONFIDENCE = "low-confidence"
    TOO_BAD_TO_CLOSE = "too-bad-to-close"
    META_FROM = "meta-from"
    TEXT_ALONE = "text-alone"
    PLAN_READY = "plan-ready"
    ADVICE_ONLY = "advice-only"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    step: Step
    reason: Reason


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LadderRules:
    """`meta_from` sends incidents this bad to the meta tier whatever review says;
    `least_confidence` is what it takes to close one without another look."""

    meta_from: Severity = Severity.CRITICAL
    least_confidence: float = 0.5


def after_review(
    assessment: Assessment,
    *,
    rules: LadderRules,
    floor: Severity = Severity.INFO,
    provenances: frozenset[Provenance] = frozenset(),
) -> Next:
    """The way after review. `floor` is what rules say about the incident; `provenances` are
    those of the evidence that the assessment cites.

    An assessment never lowers what happens to an incident below its floor: text that talks a
    model into closing a critical incident sends it to the next tier instead.
    """
    if assessment.insufficient and assessment.repaired:
        return Next(step=Step.ESCALATE, reason=Reason.UNUSABLE_ANSWER)
    if assessment.insufficient:
        return Next(step=Step.ESCALATE, reason=Reason.INSUFFICIENT_EVIDENCE)
    if assessment.disposition is Disposition.ESCALATE:
        return Next(step=Step.ESCALATE, reason=Reason.TIER_ASKED)
    severity = assessment.severity.at_least(floor)
    if severity.rank >= rules.meta_from.rank:
        return Next(step=Step.ESCALATE, reason=Reason.META_FROM)
    if assessment.confidence < rules.least_confidence:
        return Next(step=Step.ESCALATE, reason=Reason.LOW_CONFIDENCE)
    match assessment.disposition:
        case Disposition.ACT:
            return Next(step=Step.ACT, reason=Reason.ACTION_ASKED)
        case Disposition.CLOSE if severity.rank >= Severity.WARNING.rank:
            # What is a warning by rule or by the model's own word is not nothing: it ends when
            # its condition is measured to be gone.
            if provenances == {Provenance.TEXT}:
                return Next(step=Step.ESCALATE, reason=Reason.TEXT_ALONE)
            return Next(step=Step.WATCH, reason=Reason.TOO_BAD_TO_CLOSE)
        case Disposition.CLOSE:
            return Next(step=Step.CLOSE, reason=Reason.NOTHING_TO_DO)
        case _:
            return Next(step=Step.WATCH, reason=Reason.WAIT_FOR_CONDITION)


def after_plan(plan: Plan, *, floor: Severity = Severity.INFO) -> Next:
    """The way after the meta tier, the last one: actions to policy, the rest to a human or to
    the measured condition."""
    if plan.repaired and plan.cause == INSUFFICIENT_EVIDENCE:
        return Next(step=Step.ATTENTION, reason=Reason.UNUSABLE_ANSWER)
    if plan.steps:
        return Next(step=Step.ACT, reason=Reason.PLAN_READY)
    if plan.cause == INSUFFICIENT_EVIDENCE:
        return Next(step=Step.ATTENTION, reason=Reason.INSUFFICIENT_EVIDENCE)
    severity = plan.severity.at_least(floor)
    if severity.rank < Severity.WARNING.rank:
        return Next(step=Step.CLOSE, reason=Reason.NOTHING_TO_DO)
    if plan.advice:
        return Next(step=Step.ATTENTION, reason=Reason.ADVICE_ONLY)
    return Next(step=Step.WATCH, reason=Reason.WAIT_FOR_CONDITION)
