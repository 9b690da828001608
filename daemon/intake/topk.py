"""The most frequent values of a pattern within a fixed amount of memory.

Space-Saving (Metwally, Agrawal, El Abbadi 2005): `capacity` counters; a value without a counter
takes over the smallest and inherits its count as a possible overcount. So no value that makes up
more than 1/capacity of all occurrences is ever missed, and each count is too high by at most its
`error`. Merging is that of mergeable summaries (Agarwal et al. 2012).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LONGEST_VALUE = 128
"""Longer values are cut: they come from hostile text."""


class TopK:
    """Counts (kind, value) pairs. Not thread-safe."""

    __slots__ = ("_capacity", "_counters", "_least", "_smallest", "_total")

    def __init__(self, capacity: int = 32) -> None:
        if capacity < 1:
            raise ValueError(f"a top-k needs room for at least one counter, not {capacity}")
        self._capacity = capacity
        # (kind, value) to [count, error]
        self._counters: dict[tuple[str, str], list[int]] = {}
        # Who had the smallest count when it was last looked for, the last of them first. A flood
        # of values that never return takes over one after the other without looking again.
        self._smallest: list[tuple[str, str]] = []
        self._least = 0
        self._total = 0

    def __len__(self) -> int:
        return len(self._counters)

    @property
    def total(self) -> int:
        """Everything that was counted, whether it kept a counter or not."""
        return self._total

    def add(self, kind: str, value: str, count: int = 1) -> None:
        """Counts `value`, `count` times."""
        if count < 1:
            return
        self._total += count
        pair = (kind, value[:LONGEST_VALUE])
        counter = self._counters.get(pair)
        if counter is not None:
            counter[0] += count
        elif len(self._counters) < self._capacity:
            self._counters[pair] = [count, 0]
        else:
            floor = self._take_smallest()
            self._counters[pair] = [floor + count, floor]

    def top(self, limit: int) -> list[tuple[str, str, int]]:
        """The most frequent values as (kind, value, count), most frequent first.

        Counts are what was seen for certain, without what a value took over: never too high.

        Ties are in the order of kind and value, so that the same input shows the same.
        """
        seen = ((pair, count - error) for pair, (count, error) in self._counters.items())
        ranked = sorted(seen, key=lambda item: (-item[1], item[0]))
        return [(kind, value, count) for (kind, value), count in ranked[:limit]]

    def merge(self, other: TopK) -> None:
        """Adds what `other` counted."""
        mine, theirs = self._floor(), other._floor()
        merged: dict[tuple[str, str], list[int]] = {}
        for pair in self._counters.keys() | other._counters.keys():
            left = self._counters.get(pair) or [mine, mine]
            right = other._counters.get(pair) or [theirs, theirs]
            merged[pair] = [left[0] + right[0], left[1] + right[1]]
        kept = sorted(merged.items(), key=lambda item: (-item[1][0], item[0]))[: self._capacity]
        self._counters = dict(kept)
        self._smallest = []
        self._total += other._total

    def export(self) -> list[list[object]]:
        """JSON-ready: rows of kind, value, count, error, most frequent first."""
        ranked = sorted(self._counters.items(), key=lambda item: (-item[1][0], item[0]))
        return [[kind, value, count, error] for (kind, value), (count, error) in ranked]

    @classmethod
    def restore(
        cls,
        rows: Iterable[Sequence[object]],
        *,
        capacity: int = 32,
        total: int | None = None,
    ) -> TopK:
        """From what `export` gave. Rows without an error count as exact.

        Raises ValueError for a row that is not (kind, value, count[, error]).
        """
        top = cls(capacity)
        for row in rows:
            match list(row):
                case [str(kind), str(value), int(count)]:
                    error = 0
                case [str(kind), str(value), int(count), int(error)]:
                    pass
                case _:
                    raise ValueError(f"a row of top values is (kind, value, count, error): {row!r}")
            if len(top._counters) < capacity:
                top._counters[kind, value[:LONGEST_VALUE]] = [count, error]
                top._total += count
        if total is not None:
            top._total = total
        return top

    def _take_smallest(self) -> int:
        """Gives up the smallest counter, of several the oldest; returns its count."""
        counters = self._counters
        while self._smallest:
            pair = self._smallest.pop()
            if counters[pair][0] == self._least:  # else it was counted since
                del counters[pair]
                return self._least
        self._least = least = min(counter[0] for counter in counters.values())
        self._smallest = [pair for pair, counter in counters.items() if counter[0] == least]
        self._smallest.reverse()
        del counters[self._smallest.pop()]
        return least

    def _floor(self) -> int:
        """What a value without a counter may have been counted at most."""
        if len(self._counters) < self._capacity:
            return 0
        return min(count for count, _ in self._counters.values())
