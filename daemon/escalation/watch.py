"""Closes incidents whose condition is measured to be gone, and remembers them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from daemon.escalation import states
from daemon.escalation.conditions import Condition, PatternFacts, condition_for, why_gone
from daemon.escalation.measure import Alarms, Snapshot, UnitTimes, steady_units
from daemon.escalation.quiet import QuietTimes
from daemon.escalation.remembered import remembered
from daemon.escalation.states import Happening, State
from daemon.live import LiveHub
from daemon.memory.index import IndexUnusableError
from daemon.memory.recall import Memory
from daemon.store import incident_queries, transitions
from daemon.store.errors import StoreUnavailableError
from daemon.store.incident_queries import IncidentPattern
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from daemon.store.transitions import Transition
from daemon.store.work import Work, run
from tiers.vocabulary import Severity

log = structlog.get_logger()

_WATCHED = (State.WATCHING.value, State.ATTENTION.value)
_PAGE = 500
_LOOK_BACK = timedelta(hours=1)
"""A daemon that died between closing and remembering makes up for it within this."""


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
        units: UnitTimes = steady_units,
        quiet: QuietTimes | None = None,
    ) -> None:
        """`units` asks systemd; None from it: there is no systemd to ask."""
        self._database = database
        self._memory = memory
        self._alarms = alarms
        self._live = live
        self._steady = steady_seconds
        self._interval = interval
        self._units = units
        self._quiet = quiet or QuietTimes()
        self._odd: set[int] = set()
        self._closed_since = datetime.now(tz=UTC) - _LOOK_BACK

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
        await self._remember_closed()
        waiting = await self._waiting()
        self._quiet.look([incident.id for incident in waiting])
        return sum([await self._consider_safely(incident) for incident in waiting])

    async def _waiting(self) -> list[Incident]:
        waiting: list[Incident] = []
        before: int | None = None
        while True:
            async with self._database.connection() as connection:
                page = await incident_queries.listing(
                    connection,
                    incident_queries.IncidentFilter(states=_WATCHED, before=before),
                    limit=_PAGE,
                )
            waiting += page
            if len(page) < _PAGE:
                return waiting
            before = page[-1].id

    async def _consider_safely(self, incident: Incident) -> bool:
        """A defect that one incident brings out must not keep all others open."""
        try:
            return await self._consider(incident)
        except StoreUnavailableError:
            raise
        except Exception as error:
            if incident.id not in self._odd:
                self._odd.add(incident.id)
                log.error("incident not watched", incident=incident.id, exc_info=error)
            return False

    async def _consider(self, incident: Incident) -> bool:
        async with self._database.connection() as connection:
            shown = await incident_queries.patterns_of(connection, incident.id)
        condition = current_condition(incident, shown)
        silent = self._silent_for(incident, shown)
        units = await self._units(condition.units) if condition.units else {}
        if units is None:
            # Nobody here knows about units (another host's, or a container): silence has to do.
            condition = dataclasses.replace(condition, units=())
        snapshot = Snapshot(units=units or {}, alarms=self._alarms, silent=silent)
        why = why_gone(condition, snapshot, steady=self._steady)
        if why is None:
            return False
        return await self._close(incident, shown, why)

    def _silent_for(self, incident: Incident, shown: Sequence[IncidentPattern]) -> float:
        seen = max([incident.last_event_at, *(entry.last_seen for entry in shown)])
        return self._quiet.silent_for(
            incident.id,
            last=max(seen, incident.updated_at).timestamp(),
            marker=(seen, incident.event_count, incident.fence),
        )

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
                        detail={"fingerprints": [entry.fingerprint for entry in shown]},
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
        await self._remember(incident.id)
        return True

    async def _remember_closed(self) -> None:
        """What others closed (a tier, an operator) since the last look is remembered too."""
        if self._memory is None:
            return
        since = self._closed_since
        async with self._database.connection() as connection:
            found = await incident_queries.listing(
                connection,
                incident_queries.IncidentFilter(states=[State.CLOSED.value], since=since),
                limit=_PAGE,
            )
        for incident in reversed(found):
            if incident.updated_at > since:
                await self._remember(incident.id)
                self._closed_since = max(self._closed_since, incident.updated_at)

    async def _remember(self, incident_id: int) -> None:
        if self._memory is None:
            return
        async with self._database.connection() as connection:
            incident = await incident_queries.get(connection, incident_id)
            if incident is None:
                return
            entry = await remembered(connection, incident)
        try:
            await self._memory.remember(entry)
        except IndexUnusableError as error:
            # `triaged memory rebuild` brings back what is missing.
            log.warning("incident not remembered", incident=incident_id, why=str(error))


def current_condition(incident: Incident, shown: Sequence[IncidentPattern]) -> Condition:
    """The stored condition, with the silence that today's patterns ask for."""
    stored = Condition.from_json(incident.condition)
    facts = [PatternFacts(unit=entry.unit, usual_gap=entry.usual_gap) for entry in shown]
    return dataclasses.replace(stored, silence=condition_for(facts).silence)
