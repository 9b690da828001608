"""Closes incidents whose condition is measured to be gone, and remembers them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from daemon.escalation import states
from daemon.escalation.casebook import memory_text
from daemon.escalation.conditions import Condition, PatternFacts, condition_for, why_gone
from daemon.escalation.measure import Alarms, Snapshot, steady_units
from daemon.escalation.states import Happening, State
from daemon.live import LiveHub
from daemon.memory.entries import MemoryEntry
from daemon.memory.recall import Memory
from daemon.store import assessments, incident_queries, transitions
from daemon.store.errors import StoreUnavailableError
from daemon.store.incident_queries import IncidentPattern
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from daemon.store.transitions import Transition
from daemon.store.work import Work, run
from tiers.vocabulary import Provenance, Severity

log = structlog.get_logger()

_WATCHED = (State.WATCHING.value, State.ATTENTION.value)
_PAGE = 500


class Watch:
    """Looks at every incident that waits for its end, again and again."""

    def __init__(
        self,
        *,
        database: Database,
        memory: Memory | None,
        alarms: Alarms,
        live: LiveHub,
        steady_seconds: float,
        interval: float = 15.0,
    ) -> None:
        self._database = database
        self._memory = memory
        self._alarms = alarms
        self._live = live
        self._steady = steady_seconds
        self._interval = interval

    async def run(self) -> None:
        """Watches until cancelled. The store being away is waited for."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.look()
            except StoreUnavailableError as error:
                log.debug("watch waits for the store", why=str(error))

    async def look(self) -> int:
        """Looks once; returns how many incidents were closed."""
        async with self._database.connection() as connection:
            waiting = await incident_queries.listing(
                connection, incident_queries.IncidentFilter(states=_WATCHED), limit=_PAGE
            )
        closed = 0
        for incident in waiting:
            closed += await self._consider(incident)
        return closed

    async def _consider(self, incident: Incident) -> bool:
        async with self._database.connection() as connection:
            shown = await incident_queries.patterns_of(connection, incident.id)
        condition = current_condition(incident, shown)
        snapshot = Snapshot(
            units=await steady_units(condition.units),
            alarms=self._alarms,
            silent=_silent_for(incident, shown),
        )
        why = why_gone(condition, snapshot, steady=self._steady)
        if why is None:
            return False
        return await self._close(incident, shown, why)

    async def _close(self, incident: Incident, shown: Sequence[IncidentPattern], why: str) -> bool:
        target = states.after(State(incident.state), Happening.CONDITION_GONE)

        async def commit(work: Work) -> bool:
            moved = await transitions.apply(
                work,
                [
                    Transition(
                        incident_id=incident.id,
                        from_state=incident.state,
                        fence=incident.fence,
                        to_state=target.value,
                        happening=Happening.CONDITION_GONE.value,
                        actor="daemon",
                        reason=why,
                    )
                ],
            )
            return bool(moved)

        if not await run(self._database, commit):
            return False
        self._live.publish(
            kind="incident",
            severity=Severity.INFO,
            text=f"#{incident.id} closed: {why}",
            incident=incident.id,
        )
        if self._memory is not None:
            await self._memory.remember(await self._entry(incident, shown, why))
        return True

    async def _entry(
        self, incident: Incident, shown: Sequence[IncidentPattern], why: str
    ) -> MemoryEntry:
        async with self._database.connection() as connection:
            said = (await assessments.latest(connection, [incident.id])).get(incident.id)
        return memory_entry(incident, shown, cause=said.cause if said else "unknown", outcome=why)


def current_condition(incident: Incident, shown: Sequence[IncidentPattern]) -> Condition:
    """The stored condition, with the silence that today's patterns ask for."""
    stored = Condition.from_json(incident.condition)
    facts = [PatternFacts(unit=entry.unit, usual_gap=entry.usual_gap) for entry in shown]
    return dataclasses.replace(stored, silence=condition_for(facts).silence)


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


def _silent_for(incident: Incident, shown: Sequence[IncidentPattern]) -> float:
    """By the wall clock, and never longer than we have been looking."""
    now = datetime.now(tz=UTC)
    last = max([incident.last_event_at, incident.updated_at, *(entry.last_seen for entry in shown)])
    return max(0.0, (now - last).total_seconds())
