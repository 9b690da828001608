"""What is remembered of an incident."""

from __future__ import annotations

import dataclasses

from tiers.vocabulary import Provenance


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEntry:
    """One closed incident. `text` is what similarity is measured on: title and leading patterns.

    `provenance` is the weakest of the evidence it rests on: a memory of hostile text stays text.
    """

    incident_id: int
    text: str
    title: str
    cause: str
    outcome: str
    provenance: Provenance
