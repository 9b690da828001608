"""Trims a case until its prompt fits: what matters most is the last to go.

`reductions` is a fixed ladder of ever smaller cases; the first rung that fits is found by
bisection, so a large case costs a handful of token counts and is always trimmed alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator

from tiers.contracts import Case
from tiers.errors import CaseTooLargeError
from tiers.llm.neutralise import middle_cut

Count = Callable[[Case], Awaitable[int]]
"""Tokens of the whole prompt that a case makes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A case that fits. `tokens` is its measured prompt, `rung` how far it was trimmed (0: not)."""

    case: Case
    tokens: int
    rung: int


async def fit_case(case: Case, *, count: Count, budget: int) -> Fitted:
    """The largest reduction of `case` whose prompt has at most `budget` tokens.

    Raises `CaseTooLargeError` when not even the smallest fits.
    """
    tokens = await count(case)
    if tokens <= budget:
        return Fitted(case=case, tokens=tokens, rung=0)
    rungs = list(reductions(case))
    low, high = 1, len(rungs) - 1  # rung 0 is the case itself, which does not fit
    best: Fitted | None = None
    while low <= high:
        middle = (low + high) // 2
        tokens = await count(rungs[middle])
        if tokens <= budget:
            best = Fitted(case=rungs[middle], tokens=tokens, rung=middle)
            high = middle - 1
        else:
            low = middle + 1
    if best is None:
        raise CaseTooLargeError(
            f"Incident {case.incident_id} does not fit {budget} tokens, even trimmed to its best "
            f"evidence ({tokens} tokens); raise `context` or `budget` of this tier.",
            excess_tokens=max(1, tokens - budget),
        )
    return best


def reductions(case: Case) -> Iterator[Case]:
    """The case itself, then ever smaller ones. The best evidence, the causes and the actions
    stay to the end: without them there is nothing to answer."""
    yield case
    for step in _STEPS:
        for smaller in step(case):
            case = smaller
            yield case


def _cut_evidence(limit: int) -> Callable[[Case], Iterator[Case]]:
    def step(case: Case) -> Iterator[Case]:
        cut = tuple(
            dataclasses.replace(item, text=middle_cut(item.text, limit)) for item in case.evidence
        )
        if cut != case.evidence:
            yield dataclasses.replace(case, evidence=cut)

    return step


def _drop_evidence(keep: int) -> Callable[[Case], Iterator[Case]]:
    def step(case: Case) -> Iterator[Case]:
        for length in range(len(case.evidence) - 1, keep - 1, -1):
            yield dataclasses.replace(case, evidence=case.evidence[:length])

    return step


def _drop_facts(keep: int) -> Callable[[Case], Iterator[Case]]:
    def step(case: Case) -> Iterator[Case]:
        for length in range(len(case.facts) - 1, keep - 1, -1):
            yield dataclasses.replace(case, facts=case.facts[:length])

    return step


def _drop_similar(case: Case) -> Iterator[Case]:
    for length in range(len(case.similar) - 1, -1, -1):
        yield dataclasses.replace(case, similar=case.similar[:length])


def _cut_facts(case: Case) -> Iterator[Case]:
    cut = tuple((middle_cut(name, 60), middle_cut(value, 160)) for name, value in case.facts)
    if cut != case.facts:
        yield dataclasses.replace(case, facts=cut)


def _cut_earlier(limit: int) -> Callable[[Case], Iterator[Case]]:
    def step(case: Case) -> Iterator[Case]:
        cut = tuple(middle_cut(text, limit) for text in case.earlier)
        if cut != case.earlier:
            yield dataclasses.replace(case, earlier=cut)

    return step


def _drop_earlier(case: Case) -> Iterator[Case]:
    for begin in range(1, len(case.earlier) + 1):  # the newest words stay longest
        yield dataclasses.replace(case, earlier=case.earlier[begin:])


def _cut_title(case: Case) -> Iterator[Case]:
    if len(case.title) > 160:
        yield dataclasses.replace(case, title=middle_cut(case.title, 160))


_STEPS: tuple[Callable[[Case], Iterator[Case]], ...] = (
    _cut_evidence(1200),
    _cut_facts,
    _cut_title,
    _drop_evidence(12),
    _cut_earlier(600),
    _cut_evidence(500),
    _drop_similar,
    _drop_evidence(6),
    _drop_facts(4),
    _drop_earlier,
    _drop_evidence(3),
    _cut_evidence(240),
    _drop_facts(0),
    _drop_evidence(1),
    _cut_evidence(100),
)
