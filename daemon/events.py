"""What a source hands to intake: events, the cursor to go on from, and what was lost before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tiers.vocabulary import Provenance, SourceKind

Cursor = Mapping[str, Any]
"""JSON-ready; means something only to the source that made it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One observed occurrence.

    Positional and slotted because a busy host makes tens of thousands a second. `text` is the
    message alone: no timestamp, host or program name. `unit` is the systemd unit without
    ".service" where there is one, else the program name, else "". `occurred_at` is Unix time as
    the source states it. `priority` is syslog's, 0 (emergency) to 7 (debug). `key`, where the
    source has a stable identity for the event, makes redelivery harmless.
    """

    text: str
    unit: str
    kind: SourceKind
    source: str
    provenance: Provenance
    occurred_at: float
    priority: int | None = None
    key: str | None = None
    attributes: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Input that could not become an event: how much and why. Counted, never silent."""

    reason: str
    count: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a source read in one go, and the cursor that is right after it.

    The cursor is stored in the same transaction as the events; only then is the source told to
    move on (`Source.committed`).
    """

    source: str
    events: tuple[Event, ...]
    cursor: Cursor | None
    losses: tuple[Loss, ...] = ()

    @property
    def received(self) -> int:
        """Everything that came in: the left side of `in = stored + folded + dropped`."""
        return len(self.events) + sum(loss.count for loss in self.losses)
