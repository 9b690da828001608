"""From timed answers to figures. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tiers.bench.facts import Answer, Batch, Figures

T = TypeVar("T")


def figures_of(batches: Sequence[Batch]) -> list[Figures]:
    """A line for each target and concurrency, in the order in which they first came."""
    groups: dict[tuple[str, int], list[Batch]] = {}
    for batch in batches:
        groups.setdefault((batch.target, batch.concurrency), []).append(batch)
    return [_line(target, count, found) for (target, count), found in groups.items()]


def _line(target: str, concurrency: int, batches: Sequence[Batch]) -> Figures:
    answers = [answer for batch in batches for answer in batch.answers]
    good = [answer for answer in answers if not answer.problem]
    firsts = [answer.first for answer in good if answer.first is not None]
    gaps = [gap for answer in good for gap in answer.gaps]
    return Figures(
        target=target,
        concurrency=concurrency,
        answers=len(good),
        failed=len(answers) - len(good),
        reading=_median(_known(reading(answer) for answer in good)),
        writing=_median(_known(writing(answer) for answer in good)),
        together=_median(_known(_together(batch) for batch in batches)),
        first_median=_median(firsts),
        first_95=percentile(firsts, 95),
        gap_median=_median(gaps),
        gap_95=percentile(gaps, 95),
        processor=_median(_known(batch.use.processor for batch in batches)),
        memory=max(_known(batch.use.memory for batch in batches), default=None),
        gpu_memory=max(_known(batch.use.gpu_memory for batch in batches), default=None),
        problem=next((answer.problem for answer in answers if answer.problem), ""),
    )


def reading(answer: Answer) -> float | None:
    """Prompt tokens a second: the endpoint's own figure, else from the wait for the first token,
    which counts the way there and the queue too."""
    if answer.prompt_speed is not None:
        return answer.prompt_speed
    if answer.prompt_tokens and answer.first:
        return answer.prompt_tokens / answer.first
    return None


def writing(answer: Answer) -> float | None:
    """Tokens of the answer a second, after the first."""
    if answer.answer_speed is not None:
        return answer.answer_speed
    spent = sum(answer.gaps)
    tokens = (answer.answer_tokens or len(answer.gaps) + 1) - 1
    return tokens / spent if spent > 0 and tokens > 0 else None


def _together(batch: Batch) -> float | None:
    tokens = sum(
        answer.answer_tokens or len(answer.gaps) + 1
        for answer in batch.answers
        if not answer.problem
    )
    return tokens / batch.seconds if tokens and batch.seconds > 0 else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many percent do not exceed; None for none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _known(values: Iterable[T | None]) -> list[T]:
    return [value for value in values if value is not None]
