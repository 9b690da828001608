"""The one question of the trigger: severity x category as 52 options, one letter each.

One forward pass answers all of it: escalate is the weight of warning and critical together, so
severity, category and urgency never contradict it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiers.contracts import Sighting
from tiers.errors import BadAnswerError
from tiers.nano.text import one_line
from tiers.profile import Judgement
from tiers.vocabulary import Category, Severity, Urgency

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OPTIONS: tuple[tuple[Severity, Category], ...] = tuple(
    (severity, category) for severity in Severity for category in Category
)
QUESTION = "triage"
MAX_TEXT = 360
MAX_UNIT = 40

ESCALATE_FROM = 0.35
"""The probability from which an event is a warning at least. Below one half, because a miss costs
more than a look; chosen on `training/calibration.tsv`, where precision stays above 0.85."""

URGENCY_OF = {
    Severity.INFO: Urgency.NONE,
    Severity.NOTICE: Urgency.DAYS,
    Severity.WARNING: Urgency.TODAY,
    Severity.CRITICAL: Urgency.NOW,
}

# Upper bounds, and the word that the models know for it.
_COUNTS = ((1, "once"), (4, "few"), (19, "several"), (99, "many"))
_SPANS = ((10.0, "seconds"), (600.0, "minutes"), (7200.0, "hours"))


def letter(severity: Severity, category: Category) -> str:
    """The letter that stands for the pair."""
    return LETTERS[OPTIONS.index((severity, category))]


def state(*, unit: str, text: str, count: int, span_seconds: float) -> str:
    """What a decision is asked about: how often, who, and the line itself, last."""
    often = next((word for bound, word in _COUNTS if count <= bound), "flood")
    if count > 1:
        span = next((word for bound, word in _SPANS if span_seconds <= bound), "days")
        often = f"{often} {span}"
    return f"{often} | {one_line(unit, MAX_UNIT) or '-'} | {one_line(text, MAX_TEXT)}"


def state_of(sighting: Sighting) -> str:
    return state(
        unit=sighting.unit,
        text=sighting.text,
        count=sighting.count,
        span_seconds=sighting.span_seconds,
    )


def questions() -> dict[str, Any]:
    """The body's `questions`. The options' keys come back in the answer."""
    return {
        QUESTION: {
            "type": "choice",
            "instructions": QUESTION,
            "criteria": {f"{severity}/{category}": "" for severity, category in OPTIONS},
        }
    }


def judgement(probabilities: Mapping[tuple[Severity, Category], float]) -> Judgement:
    """Marginals of the joint answer.

    Whether to escalate comes first (`ESCALATE_FROM`); severity is the likeliest on that side, and
    category the likeliest over the severities of that side.
    """
    total = sum(probabilities.values())
    if not total > 0:
        raise BadAnswerError(
            "The decision has no weight on any option; ask again.",
            problem="no option has a positive probability",
            answer=repr(dict(probabilities))[:200],
        )
    by_severity = dict.fromkeys(Severity, 0.0)
    for (severity, _), weight in probabilities.items():
        by_severity[severity] += weight / total
    escalate = by_severity[Severity.WARNING] + by_severity[Severity.CRITICAL]
    side = [
        severity
        for severity in Severity
        if (severity.rank >= Severity.WARNING.rank) == (escalate >= ESCALATE_FROM)
    ]
    severity = max(side, key=by_severity.__getitem__)
    category = max(
        Category,
        key=lambda each: sum(probabilities.get((level, each), 0.0) for level in side),
    )
    return Judgement(
        probability=min(1.0, escalate),
        severity=severity,
        category=category,
        urgency=URGENCY_OF[severity],
    )


def read(answer: Mapping[str, Any]) -> Judgement:
    """`answer` is the whole decoded body of `/v1/systemone`."""
    try:
        weights = answer["answers"][QUESTION]["probabilities"]
        return judgement(
            {
                (severity, category): float(weights[f"{severity}/{category}"])
                for severity, category in OPTIONS
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswerError(
            "The decision does not have the 52 probabilities that were asked for; ask again, and "
            "see whether the endpoint serves a bundled decision model.",
            problem=f"{type(error).__name__}: {error}",
            answer=repr(dict(answer))[:200],
        ) from error
