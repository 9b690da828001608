"""What can go wrong with a model, named after what the caller can do about it."""

from __future__ import annotations


class TierError(Exception):
    """A tier could not answer. The message says what, why and what to do."""


class TierUnavailableError(TierError):
    """Wait: the endpoint is down, loading or full. `retry_after` is a hint in seconds."""

    def __init__(self, message: str, *, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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
