"""The same trouble, said rarely: a stream of poison must not fill the log with itself."""

from __future__ import annotations

from collections.abc import Hashable


class Said:
    """Counts by what happened where."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}

    def again(self, what: Hashable) -> int | None:
        """One more; how many there are when that is worth a line (1, 10, 100, ...), else None."""
        count = self._counts[what] = self._counts.get(what, 0) + 1
        return count if str(count).strip("0") == "1" else None
