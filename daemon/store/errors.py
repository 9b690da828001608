"""What can go wrong with the store, named after what the caller can do about it."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do it. The message says what, why and what to do."""


class StoreUnavailableError(StoreError):
    """Wait and try again: PostgreSQL is down, restarting, full or slow, or the connection was lost.

    What was under way was rolled back, unless the connection broke during the commit itself; that
    is why only idempotent work is repeated (see `daemon.store.pool.Database.retry`).
    `retry_after` is a hint in seconds.
    """

    def __init__(self, message: str, *, retry_after: float = 0.5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreRejectedError(StoreError):
    """Give up on this input: PostgreSQL refused the data itself and will refuse it again."""


class StoreClosedError(StoreError):
    """Stop: this process has closed the store."""


class StoreSetupError(StoreError):
    """Tell the operator: the store cannot be started as it is configured."""


class StoreInUseError(StoreSetupError):
    """Another process owns this state directory's PostgreSQL."""


class NewerSchemaError(StoreSetupError):
    """The database was written by a newer release than this one."""
