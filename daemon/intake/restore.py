"""What the store knows of patterns, as intake's working copy."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.intake.mutes import Mute
from daemon.intake.patterns import Pattern
from daemon.intake.state import KnownVerdict, PatternState
from daemon.intake.topk import TopK
from daemon.store.mutes import MuteRow
from daemon.store.patterns import AliasRow, PatternRow
from tiers.vocabulary import Category, Provenance, Severity, SourceKind


def state_of(row: PatternRow) -> PatternState:
    """A stored pattern as intake counts on it."""
    top = TopK()
    for kind, value, count in row.top_values:
        top.add(str(kind), str(value), int(count))
    return PatternState(
        fingerprint=row.fingerprint,
        kind=SourceKind(row.source_kind),
        unit=row.unit,
        pattern=row.pattern,
        sample=row.sample,
        provenance=Provenance(row.provenance),
        first_seen=row.first_seen.timestamp(),
        last_seen=row.last_seen.timestamp(),
        count=row.count,
        rate=row.rate,
        rate_at=row.rate_at.timestamp(),
        usual_gap=row.usual_gap,
        burst=row.burst,
        judged_burst=row.judged_burst,
        floor=Severity(row.floor),
        rule=row.rule,
        correlation=row.correlation,
        verdict=verdict_of(row),
        judging=row.judge_reason is not None,
        top=top,
    )


def verdict_of(row: PatternRow) -> KnownVerdict | None:
    """The verdict in force, None before the first."""
    if row.verdict_id is None or row.judged_at is None:
        return None
    if row.severity is None or row.category is None:
        return None
    return KnownVerdict(
        escalate=bool(row.escalate),
        severity=Severity(row.severity),
        category=Category(row.category),
        at=row.judged_at.timestamp(),
        verdict_id=row.verdict_id,
    )


def pattern_of(row: PatternRow) -> Pattern:
    """A stored pattern as the table knows it."""
    return Pattern(
        fingerprint=row.fingerprint,
        kind=SourceKind(row.source_kind),
        unit=row.unit,
        text=row.pattern,
    )


def aliases_of(rows: Sequence[AliasRow]) -> list[tuple[str, str, str, str]]:
    """Aliases as `PatternTable.load` takes them."""
    return [(row.source_kind, row.unit, row.masked, row.fingerprint) for row in rows]


def mute_of(row: MuteRow) -> Mute:
    """A stored mute as intake consults it."""
    return Mute(
        mute_id=row.id,
        reason=row.reason,
        fingerprint=row.fingerprint,
        unit=row.unit,
        contains=row.contains,
        expires_at=None if row.expires_at is None else row.expires_at.timestamp(),
        max_per_hour=row.max_per_hour,
        max_severity=None if row.max_severity is None else Severity(row.max_severity),
    )
