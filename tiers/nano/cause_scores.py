"""How likely each offered cause is, by the words of the evidence: a linear scorer beside the model.

Each line of evidence scores each cause; a cause is as likely as its best lines make it, and
`insufficient_evidence` wins where no line says enough. The weights are learned by
`python -m training.causes` from the generator's cases. The scorer narrows what the small model
chooses from (`shortlist`), as the tool retriever does for tools.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiers.contracts import INSUFFICIENT_EVIDENCE, Case, Evidence
from tiers.nano.decisions import how_often
from tiers.nano.line_scores import features, lines_table, log_probabilities
from tiers.nano.linear import LinearTable, load_table
from tiers.nano.words import word_features
from tiers.vocabulary import Severity

WEIGHTS = Path(__file__).with_name("causes.json")
MAX_LINES = 16
MAX_SHORTLIST = 4

_CONCERN = (0.1, 0.3, 0.6, 0.85)
_NEARLY = 1.5
"""Log-odds between the best line of evidence and another one that may be cited too."""
_SPAN = 600.0
"""Seconds: evidence has no span, and an incident's repeats come close together."""
_COUNTS = ((1, "once"), (9, "few"), (49, "many"))


def shortlist(case: Case) -> list[str]:
    """The codes of the case's causes between which the words do not decide, in the case's order;
    mostly one. The honest one is last, and alone where nothing else is as likely."""
    offered = [cause.code for cause in case.causes if cause.code != INSUFFICIENT_EVIDENCE]
    if not offered or not case.evidence:
        return [INSUFFICIENT_EVIDENCE]
    table = causes_table()
    chances = probabilities(case, [*offered, INSUFFICIENT_EVIDENCE], table)
    unclear = chances[INSUFFICIENT_EVIDENCE]
    best = sorted(offered, key=chances.__getitem__, reverse=True)
    if unclear >= chances[best[0]]:
        return [INSUFFICIENT_EVIDENCE]
    least = chances[best[0]] * float(table.more["beside"])
    kept = {code for code in best[:MAX_SHORTLIST] if chances[code] >= least}
    chosen = [code for code in offered if code in kept]
    if unclear >= least:
        chosen.append(INSUFFICIENT_EVIDENCE)
    return chosen


def bearing(case: Case, causes: Sequence[str]) -> list[str]:
    """Refs of the evidence that speaks for one of `causes` (as `shortlist` leaves them), nearly as
    much as the best of it does; of what is worst where it speaks for none."""
    table = causes_table()
    shown = case.evidence[:MAX_LINES]
    numbers = [
        table.outputs.index(code)
        for code in causes
        if code in table.outputs and code != INSUFFICIENT_EVIDENCE
    ]
    if numbers:
        support = [max(line_scores(item, table)[n] for n in numbers) for item in shown]
    else:
        support = [_log_odds(bad(item)) for item in shown]
    best = max(support, default=0.0)
    return [item.ref for item, found in zip(shown, support, strict=True) if found >= best - _NEARLY]


def probabilities(case: Case, codes: Sequence[str], table: LinearTable) -> Mapping[str, float]:
    """The probability of each of `codes`; they add up to 1."""
    numbers = {code: number for number, code in enumerate(table.outputs)}
    scores = [line_scores(item, table) for item in case.evidence[:MAX_LINES]]
    found = {}
    for code in codes:
        number = numbers.get(code)
        if number is None:
            found[code] = -math.inf
            continue
        found[code] = table.bias[number] + _log_sum([line[number] for line in scores])
    if all(value == -math.inf for value in found.values()):
        return {code: 1.0 / len(found) for code in codes}
    top = max(found.values())
    weights = {code: math.exp(value - top) for code, value in found.items()}
    total = sum(weights.values())
    return {code: weight / total for code, weight in weights.items()}


def line_scores(item: Evidence, table: LinearTable) -> list[float]:
    """What one line adds for each cause of the table."""
    found = features_of(item)
    scale = 1 / math.sqrt(len(found))
    heavy = table.sums([concern(item)])
    return [score * scale + more for score, more in zip(table.sums(found), heavy, strict=True)]


def concern(item: Evidence) -> str:
    """How bad the line is, as a feature: what is routine shows no cause."""
    return f"e{sum(bad(item) >= bound for bound in _CONCERN)}"


def bad(item: Evidence) -> float:
    """The probability that the line deserves a look, by its words alone."""
    often = how_often(count=item.count, span_seconds=_SPAN)
    program = item.source.rpartition("/")[2]
    found = log_probabilities(features(unit=program, text=item.text, often=often), lines_table())
    return sum(
        math.exp(value)
        for (severity, _), value in found.items()
        if severity.rank >= Severity.WARNING.rank
    )


def _log_odds(chance: float) -> float:
    bounded = min(max(chance, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def _log_sum(values: Sequence[float]) -> float:
    if not values:
        return 0.0
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def features_of(item: Evidence) -> list[str]:
    """Who says it, how often, and the words."""
    program = item.source.rpartition("/")[2].lower()
    often = next((word for bound, word in _COUNTS if item.count <= bound), "flood")
    return [f"p{item.provenance}", f"s{program}", f"n{often}", *word_features(item.text)]


@functools.cache
def causes_table() -> LinearTable:
    """The learned table, read once."""
    return load_table(WEIGHTS)
