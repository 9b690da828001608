"""Pure parts of the intake commit: what a redelivered event takes back, and rows ready to send."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from daemon.store.prepared import REDELIVERED, REJECTED, Alias, PatternDelta, Prepared
from daemon.store.values import clean

Key = tuple[str, str]
"""Source and key."""

_INDEXED_BYTES = 2_400
"""What surely fits into one entry of a B-tree (a third of a page, 2,704 bytes, in all)."""


def keys_of(batches: Iterable[Prepared]) -> list[Key]:
    """Every key in the batches, each once, in the order in which all writers lock them."""
    keys: set[Key] = set()
    for batch in batches:
        source = clean(batch.source)
        keys.update((source, clean(event.key)) for event in batch.stored if event.key is not None)
        keys.update((source, clean(folded.key)) for folded in batch.folded_keys)
    return sorted(keys)


def settle(
    batches: Sequence[Prepared], *, fresh: set[Key]
) -> tuple[list[Prepared], dict[str, int]]:
    """The batches without what was there before, and how much that was by fingerprint.

    `fresh` are the keys that had not been seen; each counts once, wherever it stands first. The
    accounting of every batch still closes: what is taken out is dropped as redelivered.
    """
    left = set(fresh)
    again: collections.Counter[str] = collections.Counter()
    settled = [_settle_one(batch, left, again) for batch in batches]
    return settled, dict(again)


def _settle_one(batch: Prepared, left: set[Key], again: collections.Counter[str]) -> Prepared:
    source = clean(batch.source)
    gone: collections.Counter[str] = collections.Counter()
    kept = []
    for event in batch.stored:
        if event.key is None or _take(left, (source, clean(event.key))):
            kept.append(event)
        else:
            gone[event.fingerprint] += 1
    folded = batch.folded
    for key in batch.folded_keys:
        if not _take(left, (source, clean(key.key))):
            gone[key.fingerprint] += 1
            folded -= 1
    if not gone:
        return batch
    again.update(gone)
    drops = dict(batch.drops)
    drops[REDELIVERED] = drops.get(REDELIVERED, 0) + gone.total()
    patterns = tuple(
        dataclasses.replace(
            delta,
            count=delta.count - gone[delta.fingerprint],
            unattached=max(0, delta.unattached - gone[delta.fingerprint]),
        )
        if delta.fingerprint in gone
        else delta
        for delta in batch.patterns
    )
    return dataclasses.replace(
        batch, stored=tuple(kept), folded=folded, folded_keys=(), drops=drops, patterns=patterns
    )


def _take(left: set[Key], key: Key) -> bool:
    if key in left:
        left.remove(key)
        return True
    return False


def rejected(batch: Prepared) -> Prepared:
    """The batch when its content cannot be stored: all dropped and counted, the cursor kept."""
    return Prepared(
        source=batch.source,
        received=batch.received,
        drops={**batch.drops, REJECTED: len(batch.stored) + batch.folded},
        cursor=batch.cursor,
        generation=batch.generation,
    )


def merge_patterns(batches: Iterable[Prepared]) -> list[PatternDelta]:
    """One delta for each fingerprint, in the order in which all writers lock them."""
    merged: dict[str, PatternDelta] = {}
    for batch in batches:
        for delta in batch.patterns:
            earlier = merged.get(delta.fingerprint)
            merged[delta.fingerprint] = delta if earlier is None else _join(earlier, delta)
    return [merged[fingerprint] for fingerprint in sorted(merged)]


def _join(earlier: PatternDelta, later: PatternDelta) -> PatternDelta:
    return dataclasses.replace(
        later,
        sample=earlier.sample,
        count=earlier.count + later.count,
        unattached=earlier.unattached + later.unattached,
        first_seen=min(earlier.first_seen, later.first_seen),
        last_seen=max(earlier.last_seen, later.last_seen),
        burst=max(earlier.burst, later.burst),
        usual_gap=later.usual_gap if later.usual_gap is not None else earlier.usual_gap,
        top_values=later.top_values or earlier.top_values,
        new_values=earlier.new_values + later.new_values,
        correlation=later.correlation or earlier.correlation,
        judge_reason=earlier.judge_reason or later.judge_reason,
        rests_on_verdict=earlier.rests_on_verdict or later.rests_on_verdict,
    )


def merge_aliases(batches: Iterable[Prepared]) -> list[Alias]:
    """Each alias once, the latest, in the order in which all writers lock them. One that no index
    has room for is left out: it is found again by comparing."""
    merged: dict[tuple[str, str, str], Alias] = {}
    for batch in batches:
        for alias in batch.aliases:
            unit, masked = clean(alias.unit), clean(alias.masked)
            if len(unit.encode()) + len(masked.encode()) <= _INDEXED_BYTES:
                merged[alias.source_kind.value, unit, masked] = alias
    return [merged[key] for key in sorted(merged)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """received = stored + folded + dropped, of one source in one group."""

    received: int
    stored: int
    folded: int
    dropped: int


def tallies(batches: Iterable[Prepared]) -> tuple[dict[str, Tally], dict[tuple[str, str], int]]:
    """Accounting by source, and drops by (source, reason), both in locking order."""
    sums: dict[str, list[int]] = {}
    drops: collections.Counter[tuple[str, str]] = collections.Counter()
    for batch in batches:
        source = clean(batch.source)
        dropped = _positive(batch.drops)
        total = sums.setdefault(source, [0, 0, 0, 0])
        total[0] += batch.received
        total[1] += len(batch.stored)
        total[2] += batch.folded
        total[3] += sum(dropped.values())
        for reason, count in dropped.items():
            drops[source, clean(reason)] += count
    return (
        {
            source: Tally(
                received=sums[source][0],
                stored=sums[source][1],
                folded=sums[source][2],
                dropped=sums[source][3],
            )
            for source in sorted(sums)
        },
        {key: drops[key] for key in sorted(drops)},
    )


def _positive(drops: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in drops.items() if count > 0}
