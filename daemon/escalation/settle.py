"""What is made of a tier's answer. Pure: answers propose, code decides."""

from __future__ import annotations

import dataclasses

from daemon.escalation.states import Happening
from tiers.contracts import Assessment, Disposition, Plan
from tiers.vocabulary import Severity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The happening that follows, the disposition to record, and why in a sentence."""

    happening: Happening
    disposition: Disposition
    severity: Severity
    reason: str


def settle_assessment(answer: Assessment, *, severity: Severity, meta_from: Severity) -> Settlement:
    """What follows from the review tier's answer about an incident of this severity.

    A model can raise a severity, never lower it, and cannot close what is critical: that ends when
    its condition is measured to be gone.
    """
    worst = severity.at_least(answer.severity)
    wanted = answer.disposition
    if answer.insufficient or wanted is Disposition.ESCALATE:
        return Settlement(
            happening=Happening.SETTLED_ESCALATE,
            disposition=Disposition.ESCALATE,
            severity=worst,
            reason=f"review could not settle it: {answer.summary}",
        )
    if worst.rank >= meta_from.rank:
        return Settlement(
            happening=Happening.SETTLED_ESCALATE,
            disposition=Disposition.ESCALATE,
            severity=worst,
            reason=f"{worst.value}: a plan is needed; review says {answer.cause}: {answer.summary}",
        )
    if wanted is Disposition.CLOSE and worst.rank < Severity.CRITICAL.rank:
        return Settlement(
            happening=Happening.SETTLED_CLOSE,
            disposition=Disposition.CLOSE,
            severity=worst,
            reason=f"{answer.cause}: {answer.summary}",
        )
    return Settlement(
        happening=Happening.SETTLED_WATCH,
        disposition=Disposition.WATCH if wanted is Disposition.CLOSE else wanted,
        severity=worst,
        reason=f"{answer.cause}: {answer.summary}",
    )


def settle_plan(answer: Plan, *, severity: Severity, least_confidence: float) -> Settlement:
    """What follows from the meta tier's plan: it is watched, or a human is asked."""
    worst = severity.at_least(answer.severity)
    unsure = answer.cause == "insufficient_evidence" or answer.confidence < least_confidence
    if unsure:
        return Settlement(
            happening=Happening.SETTLED_ESCALATE,
            disposition=Disposition.ESCALATE,
            severity=worst,
            reason=f"the meta tier is not sure: {answer.summary}",
        )
    disposition = Disposition.ACT if answer.steps else Disposition.WATCH
    return Settlement(
        happening=Happening.SETTLED_WATCH,
        disposition=disposition,
        severity=worst,
        reason=f"{answer.cause}: {answer.summary}",
    )
