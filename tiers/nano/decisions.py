"""The one question of the trigger: severity x category as 52 options, one letter each.

One forward pass answers all of it: escalate is the weight of warning and critical together, so
severity, category and urgency never contradict it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiers.contracts import Sighting
from tiers.errors import BadAnswerError
from tiers.nano.demands import without_demands
from tiers.nano.line_scores import Pair, log_odds, mixed
from tiers.nano.numbers import short_numbers
from tiers.nano.text import one_line
from tiers.profile import Judgement
from tiers.vocabulary import Category, Severity, Urgency

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OPTIONS: tuple[Pair, ...] = tuple(
    (severity, category) for severity in Severity for category in Category
)
QUESTION = "triage"

# What a word of the chat form stands for, measured on `training/calibration.tsv`.
_STATED, _SAME_SIDE, _OTHER_SIDE, _OTHER_CATEGORY = 0.75, 0.12, 0.065, 0.02

MAX_TEXT = 260
"""Characters, after long numbers were shortened. Every token costs time, and what is said of a line
is mostly said by then; the words beside the model read on."""
MAX_UNIT = 40

ESCALATE_FROM = 0.35
"""The probability from which an event is a warning at least. Below one half, because a miss costs
more than a look; chosen on `training/calibration.tsv`."""

REACHED_FROM = {Severity.NOTICE: 0.2, Severity.WARNING: ESCALATE_FROM, Severity.CRITICAL: 0.5}
"""The probability of a severity or a worse one from which an event has it. To keep what might be
worth keeping costs little; to cry wolf costs more."""

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
    often = how_often(count=count, span_seconds=span_seconds)
    said = one_line(short_numbers(text), MAX_TEXT)
    return f"{often} | {one_line(unit, MAX_UNIT) or '-'} | {said}"


def how_often(*, count: int, span_seconds: float) -> str:
    """The words for a count: "once", or how many in how long."""
    often = next((word for bound, word in _COUNTS if count <= bound), "flood")
    if count <= 1:
        return often
    span = next((word for bound, word in _SPANS if span_seconds <= bound), "days")
    return f"{often} {span}"


def state_of(sighting: Sighting) -> str:
    return state(
        unit=sighting.unit,
        text=without_demands(sighting.text),
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


def judgement(probabilities: Mapping[Pair, float]) -> Judgement:
    """Marginals of the joint answer.

    Severity is the worst that the event reaches (`REACHED_FROM`), so that escalating follows from
    it; category the likeliest over the severities of that side.
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
    severity = Severity.INFO
    for level, least in REACHED_FROM.items():
        if sum(by_severity[each] for each in Severity if each.rank >= level.rank) >= least:
            severity = level
    bad = severity.rank >= Severity.WARNING.rank
    side = [each for each in Severity if (each.rank >= Severity.WARNING.rank) == bad]
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


def read(answer: Mapping[str, Any], sighting: Sighting | None) -> Judgement:
    """`answer` is the whole decoded body of `/v1/systemone`; with the sighting, what its words
    alone say is mixed in."""
    try:
        weights = answer["answers"][QUESTION]["probabilities"]
        found = {
            (severity, category): float(weights[f"{severity}/{category}"])
            for severity, category in OPTIONS
        }
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswerError(
            "The decision does not have the 52 probabilities that were asked for; ask again, and "
            "see whether the endpoint serves a bundled decision model.",
            problem=f"{type(error).__name__}: {error}",
            answer=repr(dict(answer))[:200],
        ) from error
    return judgement(found if sighting is None else with_words(found, sighting))


def read_words(
    severity: Severity, category: Category, sighting: Sighting, *, escalate: bool
) -> Judgement:
    """The chat form's answer, which has no weights: each word of it stands for the share in which
    such a word is right, and what the sighting's words say is mixed in."""
    likely = {
        each: _STATED
        if each is severity
        else _SAME_SIDE
        if (each.rank >= Severity.WARNING.rank) == escalate
        else _OTHER_SIDE
        for each in Severity
    }
    weights = {
        (level, each): likely[level] * (_STATED if each is category else _OTHER_CATEGORY)
        for level, each in OPTIONS
    }
    return judgement(with_words(weights, sighting))


def with_words(probabilities: Mapping[Pair, float], sighting: Sighting) -> dict[Pair, float]:
    """The model's weights, with what the words of the sighting say mixed in."""
    often = how_often(count=sighting.count, span_seconds=sighting.span_seconds)
    return mixed(probabilities, log_odds(sighting, often))
