"""What keeps a llama-server from being built. Each sentence names what, why and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class BuildError(Exception):
    """Nothing was built. What was in use before still is."""


class StepError(BuildError):
    """A step of the build failed. `said` are the last lines that it printed."""

    def __init__(self, message: str, *, said: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.said = tuple(said)
