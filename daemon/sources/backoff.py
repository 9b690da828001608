"""How long to pause before the next try."""

from __future__ import annotations

import random

from daemon.sources.settings import BackoffSettings


class Backoff:
    """Pauses that grow to a cap, with jitter so that many daemons do not knock together."""

    def __init__(self, *, settings: BackoffSettings, rng: random.Random | None = None) -> None:
        self._settings = settings
        self._rng = rng or random.Random()  # noqa: S311 -- jitter, not a secret
        self._attempt = 0

    @property
    def attempt(self) -> int:
        """How many pauses were given out since the last reset."""
        return self._attempt

    def reset(self) -> None:
        """What is tried has worked: the next pause is the first one again."""
        self._attempt = 0

    def next(self) -> float:
        """Seconds to wait now; never above the configured maximum."""
        settings = self._settings
        # Capped in the exponent too: a float power overflows after some thousand attempts.
        pause = settings.initial * settings.factor ** min(self._attempt, 64)
        self._attempt += 1
        pause = min(pause, settings.maximum)
        return pause * (1 - settings.jitter * self._rng.random())
