"""What can go wrong with a model, named after what the caller can do about it."""

from __future__ import annotations

import enum


class Trouble(enum.StrEnum):
    """What kind of being unavailable it is, for whoever decides where to ask next."""

    REFUSED = "refused"
    """No connection: nothing was asked."""
    BROKEN = "broken"
    """The connection ended in the middle of a call."""
    LOADING = "loading"
    BUSY = "busy"
    """It says that it is asked too often."""
    SLOW = "slow"
    """No answer within the time."""
    HANGS = "hangs"
    """It answers neither the call nor look-ups."""
    FAULT = "fault"
    """It answers with an error of its own."""
    GARBAGE = "garbage"
    """It answers what no model endpoint answers."""
    MISFIT = "misfit"
    """It refuses the key, or does not know the model."""


class TierError(Exception):
    """A tier could not answer. The message says what, why and what to do."""


class TierUnavailableError(TierError):
    """Wait: the endpoint is down, loading or full. `retry_after` is a hint in seconds."""

    def __init__(
        self, message: str, *, retry_after: float = 5.0, trouble: Trouble = Trouble.FAULT
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.trouble = trouble


class QueueFullError(TierUnavailableError):
    """Wait: the endpoint is well, and as many calls as may wait for it wait already."""


class BadAnswerError(TierError):
    """Ask again once with `problem`, then mark: the answer was not what the schema asks for."""

    def __init__(self, message: str, *, problem: str, answer: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.answer = answer


class CaseTooLargeError(TierError):
    """Trim: the prompt does not fit the context. `excess_tokens` is how much has to go."""

    def __init__(self, message: str, *, excess_tokens: int) -> None:
        super().__init__(message)
        self.excess_tokens = excess_tokens


class TierRefusedError(TierError):
    """Give up: the endpoint says the request itself is wrong, and will say so again."""


class TierMisfitError(TierRefusedError):
    """Give up here: this endpoint takes no call with this key or for this model; another may."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
