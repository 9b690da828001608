"""Decisions per second on one core, with the usual question, on lines of 40 words."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from training.judging.figures import Figure
from training.judging.lines import decide
from training.judging.sets import Item

_WORDS = 40
_DECISIONS = 300


def long_lines(items: Sequence[Item], n: int) -> list[Item]:
    """`n` different lines of exactly 40 words, from the words of the set's lines in turn."""
    words = itertools.cycle([word for item in items for word in item["text"].split()])
    return [
        {"id": f"speed-{i}", "unit": "nginx", "count": 1 + i % 300, "span_seconds": 30.0,
         "text": " ".join(itertools.islice(words, _WORDS))}
        for i in range(n)
    ]  # fmt: skip


def rate(url: str, items: Sequence[Item], *, concurrency: int) -> float:
    """Decisions per second over all of `items`."""

    def work(number: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            for item in items[number::concurrency]:
                decide(client, item)

    with ThreadPoolExecutor(concurrency) as pool:
        start = time.perf_counter()
        list(pool.map(work, range(concurrency)))
        return len(items) / (time.perf_counter() - start)


def judge(url: str, items: Sequence[Item]) -> list[Figure]:
    """The best of three runs each: other work on the machine only ever slows one down."""
    lines = long_lines(items, _DECISIONS)
    return [
        Figure(
            what=f"decisions per second, concurrency {concurrency}, one thread",
            value=max(rate(url, lines, concurrency=concurrency) for _ in range(3)),
            of=len(lines),
            least=60,
            unit="/s",
        )
        for concurrency in (1, 8)
    ]
