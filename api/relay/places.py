"""How many requests are with a tier: llama-server queues without end and never says no."""

from __future__ import annotations

from collections import Counter

from tiers.vocabulary import TierName


class Places:
    """Counts; whoever got a place gives it back."""

    def __init__(self) -> None:
        self._taken: Counter[TierName] = Counter()

    def taken(self, tier: TierName) -> int:
        return self._taken[tier]

    def take(self, tier: TierName, *, most: int) -> bool:
        """Whether there was a place."""
        if self._taken[tier] >= most:
            return False
        self._taken[tier] += 1
        return True

    def give_back(self, tier: TierName) -> None:
        self._taken[tier] -= 1
