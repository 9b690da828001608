"""Batches for tests of the writer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from daemon.store.prepared import FoldedKey, PatternDelta, Prepared, StoredEvent
from tiers.vocabulary import Provenance, SourceKind

NOW = 1_790_000_000.0


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def delta(text: str, count: int, **changes: Any) -> PatternDelta:
    values: dict[str, Any] = {
        "fingerprint": fingerprint(text),
        "source_kind": SourceKind.FILE,
        "unit": "sshd",
        "pattern": text,
        "sample": text,
        "provenance": Provenance.TEXT,
        "count": count,
        "unattached": count,
        "first_seen": NOW,
        "last_seen": NOW + 1,
        "rate": 1.0,
        "rate_at": NOW,
    }
    return PatternDelta(**{**values, **changes})


def event(text: str, **changes: Any) -> StoredEvent:
    values: dict[str, Any] = {
        "fingerprint": fingerprint(text),
        "text": text,
        "unit": "sshd",
        "kind": SourceKind.FILE,
        "provenance": Provenance.TEXT,
        "occurred_at": NOW,
        "priority": 4,
    }
    return StoredEvent(**{**values, **changes})


def batch(
    *,
    source: str = "file:/var/log/auth.log",
    text: str = "Failed password",
    stored: int = 1,
    folded: int = 9,
    dropped: int = 0,
    cursor: Mapping[str, Any] | None = None,
    generation: int | None = None,
    keys: str | None = None,
    **changes: Any,
) -> Prepared:
    """`keys` gives every event a key that begins with it."""
    return Prepared(
        source=source,
        received=stored + folded + dropped,
        stored=tuple(
            event(text, key=None if keys is None else f"{keys}-s{number}", **changes)
            for number in range(stored)
        ),
        folded=folded,
        folded_keys=()
        if keys is None
        else tuple(
            FoldedKey(fingerprint=fingerprint(text), key=f"{keys}-f{number}")
            for number in range(folded)
        ),
        drops={"muted-storm": dropped} if dropped else {},
        patterns=(delta(text, stored + folded, judge_reason="new"),),
        cursor=cursor,
        generation=generation,
    )
