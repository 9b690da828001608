"""What an incident is shown by: occurrences of its own time, not the first line ever of a pattern,
which may be old and in somebody else's words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime

from daemon.store import events, incidents
from daemon.store.incidents import NewEvidence
from daemon.store.patterns import PatternRow
from daemon.store.work import Work
from tiers.vocabulary import Provenance

_VOUCHED = frozenset({Provenance.SYSTEMD.value, Provenance.MEASURED.value})
_LOOKED_AT = 50
_LONGEST = 2_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence, in full."""

    at: datetime
    text: str


async def show(
    work: Work, incident_id: int, row: PatternRow, said: Occurrence, *, count: int
) -> None:
    """Adds an occurrence of a pattern to the evidence; it stands for the `count` recent ones."""
    await incidents.end_earlier_evidence(work, incident_id=incident_id, fingerprint=row.fingerprint)
    await incidents.add_evidence(
        work,
        incident_id=incident_id,
        items=[
            NewEvidence(
                provenance=row.provenance,
                source=f"{row.source_kind}/{row.unit or 'unknown'}",
                text=said.text,
                at=said.at,
                count=count,
                fingerprint=row.fingerprint,
            )
        ],
    )


async def occurrence_of(work: Work, row: PatternRow, *, naming: Sequence[str]) -> Occurrence:
    """An occurrence of now: the newest that was kept, if possible one that names the first of those
    who lead. What is vouched for keeps its first words, on which its offers rest."""
    if row.provenance in _VOUCHED:
        return first_of(row)
    kept = await events.newest_texts(work.connection, row.fingerprint, limit=_LOOKED_AT)
    if not kept:
        return first_of(row)
    about = (entry for name in naming[:1] for entry in kept if _names(entry[1], name))
    at, text = next(about, kept[0])
    return Occurrence(at=at, text=text[:_LONGEST])


def first_of(row: PatternRow) -> Occurrence:
    return Occurrence(at=row.first_seen, text=row.sample)


def _names(text: str, name: str) -> bool:
    """Whether a text has `name` as a word of its own: 198.51.100.1 is not in 198.51.100.14."""
    return re.search(rf"(?<![\w.:]){re.escape(name)}(?![\w:]|\.\w)", text) is not None
