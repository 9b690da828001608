"""What intake hands to the writer: batches of one source, with everything decided already.

Counts are differences, because several daemons may share the database; rates and bursts are as the
sender knows them. Times are Unix seconds.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from typing import Self

from daemon.events import Cursor
from tiers.vocabulary import Provenance, Severity, SourceKind

REDELIVERED = "redelivered"
"""Drop reason of events whose key was seen before."""
REJECTED = "rejected"
"""Drop reason of batches that PostgreSQL refused as they are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event to keep whole. `key` as in `daemon.events.Event`."""

    fingerprint: str
    text: str
    unit: str
    kind: SourceKind
    provenance: Provenance
    occurred_at: float
    priority: int | None = None
    key: str | None = None
    attributes: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoldedKey:
    """The key of an event that was folded onto `fingerprint`, so that a redelivery is noticed."""

    fingerprint: str
    key: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatternDelta:
    """One pattern as it changed in a batch; inserted when it is new.

    `count` and `unattached` are added (`unattached` is 0 for what nobody has to look at, such as
    muted events). `rate` is in events per minute. `judge_reason` asks for a verdict; None asks for
    nothing and takes nothing back. `top_values` are those of all time, `new_values` those of this
    batch, added like `unattached`. `rests_on_verdict`: the sender counts the occurrences on an
    incident by a verdict that it knows; where the store has none (the pattern was pruned since),
    one is asked for.
    """

    fingerprint: str
    source_kind: SourceKind
    unit: str
    pattern: str
    sample: str
    provenance: Provenance
    count: int
    unattached: int
    first_seen: float
    last_seen: float
    rate: float
    rate_at: float
    usual_gap: float | None = None
    burst: int = 0
    top_values: tuple[tuple[str, str, int], ...] = ()
    new_values: tuple[tuple[str, str, int], ...] = ()
    floor: Severity = Severity.INFO
    rule: str | None = None
    correlation: str | None = None
    judge_reason: str | None = None
    rests_on_verdict: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A masked text that was generalised into the pattern `fingerprint`."""

    source_kind: SourceKind
    unit: str
    masked: str
    fingerprint: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One batch of one source. Raises `ValueError` when its accounting does not close.

    `received` = stored + folded + dropped. `folded_keys` names those of the folded events that
    have a key. `cursor` None keeps the stored one. `generation` is what `cursors.take` gave; None
    where several writers share the source and no cursor counts (MQTT, HTTP).
    """

    source: str
    received: int
    stored: tuple[StoredEvent, ...] = ()
    folded: int = 0
    folded_keys: tuple[FoldedKey, ...] = ()
    drops: Mapping[str, int] = dataclasses.field(default_factory=dict)
    patterns: tuple[PatternDelta, ...] = ()
    aliases: tuple[Alias, ...] = ()
    cursor: Cursor | None = None
    generation: int | None = None

    def __post_init__(self) -> None:
        dropped = sum(self.drops.values())
        if self.received != len(self.stored) + self.folded + dropped:
            msg = (
                f"the accounting of a batch of {self.source} does not close: received"
                f" {self.received}, stored {len(self.stored)}, folded {self.folded},"
                f" dropped {dropped}"
            )
            raise ValueError(msg)
        if len(self.folded_keys) > self.folded:
            msg = f"a batch of {self.source} has more keys of folded events than folded events"
            raise ValueError(msg)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Batches for one transaction, in their sources' order.

    `id` makes the commit exactly once: whoever is not sure that it happened commits the same group
    again, with the same batches.
    """

    id: uuid.UUID
    batches: tuple[Prepared, ...]

    @classmethod
    def of(cls, batches: Sequence[Prepared]) -> Self:
        return cls(id=uuid.uuid4(), batches=tuple(batches))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What became of a group.

    `redelivered` counts, by fingerprint, events that were there before and were counted as dropped
    instead. `fenced` names sources that another writer has taken over: nothing of their batches
    was written, and this writer must stop reading them. `rejected` names sources whose batch
    PostgreSQL refused, with why; its events were counted as dropped and the cursor moved on.
    """

    redelivered: Mapping[str, int] = dataclasses.field(default_factory=dict)
    fenced: frozenset[str] = frozenset()
    rejected: Mapping[str, str] = dataclasses.field(default_factory=dict)
