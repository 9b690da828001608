"""What a source is, and what it is given."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Protocol

from daemon.errors import SourceAbsentError, SourceError
from daemon.events import Batch, Cursor
from tiers.vocabulary import SourceKind

__all__ = [
    "Emit",
    "Receipt",
    "Source",
    "SourceAbsentError",
    "SourceError",
    "SourceState",
]


class Receipt(Protocol):
    """Proof that a batch was taken over by intake; its commit comes later."""

    async def committed(self) -> None:
        """Returns once events and cursor are durable, or were counted as dropped.

        Raises `asyncio.CancelledError` when intake stops first: then nothing is acknowledged.
        """
        ...


Emit = Callable[[Batch], Awaitable[Receipt]]
"""Hands a batch to intake. Waits while intake is full: that is the back-pressure. Batches of one
source are committed in the order in which they were handed over, each with its cursor, so a source
that only keeps a position need not wait for the receipt; one that must acknowledge (MQTT) does."""


class SourceState(enum.StrEnum):
    """What the operator sees of a source."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"  # failed; starts again after a pause
    ABSENT = "absent"  # this host has no such thing; said once
    STOPPED = "stopped"


class Source(Protocol):
    """An adapter. `name` is unique and stable ("journald", "file:/var/log/syslog"): cursors are
    stored under it."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> SourceKind: ...

    @property
    def watching(self) -> str:
        """What is being watched, in a few words for the console."""
        ...

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Yields batches until cancelled. Resumes after `cursor`; None is the first start ever.

        Raises `SourceAbsentError`, `SourceError`, or anything else for a defect; returns only
        when there is nothing more to come.
        """
        ...
