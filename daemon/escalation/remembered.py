"""What is remembered of a closed incident, made from the store alone."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.escalation.casebook import memory_text
from daemon.memory.entries import MemoryEntry
from daemon.store import actions, assessments, incident_queries
from daemon.store.actions import ActionRow
from daemon.store.incident_queries import IncidentPattern
from daemon.store.incidents import Incident
from daemon.store.pool import Connection
from tiers.vocabulary import Provenance

_VERIFIED = ("done", "failed")
_MOST_ACTIONS = 5


async def remembered(connection: Connection, incident: Incident) -> MemoryEntry:
    """The entry of an incident as the store has it now."""
    shown = await incident_queries.patterns_of(connection, incident.id)
    said = (await assessments.latest(connection, [incident.id])).get(incident.id)
    acted = await actions.listing(connection, states=_VERIFIED, incident_id=incident.id)
    return memory_entry(
        incident,
        shown,
        cause=said.cause if said is not None else "unknown",
        outcome=outcome_of(incident, acted),
    )


def outcome_of(incident: Incident, acted: Sequence[ActionRow]) -> str:
    """How it ended, with what was done and then measured: nothing that was only tried or asked
    for. `acted` are the newest first."""
    ended = incident.close_reason or "closed"
    measured = [f"{row.sentence}: {row.state}" for row in reversed(acted)]
    return "; ".join([ended, *measured[-_MOST_ACTIONS:]])


def memory_entry(
    incident: Incident, shown: Sequence[IncidentPattern], *, cause: str, outcome: str
) -> MemoryEntry:
    """What is remembered of a closed incident."""
    trusted = shown and all(entry.provenance != Provenance.TEXT.value for entry in shown)
    return MemoryEntry(
        incident_id=incident.id,
        text=memory_text(incident.title, shown),
        title=incident.title,
        cause=cause,
        outcome=outcome,
        provenance=Provenance(shown[0].provenance) if trusted else Provenance.TEXT,
    )
