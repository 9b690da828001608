"""Units that fail, restart in a loop, or recover, as systemd itself says over D-Bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from daemon.events import Batch, Cursor, Event
from daemon.sources.base import Emit, SourceError
from daemon.sources.settings import SystemdSettings
from daemon.sources.systemd_bus import SystemdBus
from daemon.sources.units import UnitEvent, UnitFacts, UnitWatch
from tiers.vocabulary import Provenance, Severity, SourceKind

_GATHER_SECONDS = 0.1
"""One change is several signals: wait this long and look once."""
_TICK_SECONDS = 5.0
_MOST_CHANGED = 5_000


class SystemdSource:
    """Watches all units of the system manager. The cursor names those that were reported, so that
    a restart of the daemon neither repeats them nor misses that they recovered."""

    kind = SourceKind.SYSTEMD
    name = "systemd"

    def __init__(
        self,
        *,
        settings: SystemdSettings,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._watch = UnitWatch(settings=settings, troubled={})
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._count = 0

    @property
    def watching(self) -> str:
        return f"{self._count} units of systemd"

    def unit_steady_for(self, unit: str) -> float | None:
        """Seconds that a unit has been active without a restart, as far as was seen; None where
        it is not active or not known."""
        name = unit if "." in unit else f"{unit}.service"
        return self._watch.steady_for(name, at=self._monotonic())

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Until cancelled. Raises `SourceAbsentError` without systemd, `SourceError` when the bus
        goes away."""
        troubled = (cursor or {}).get("troubled", {})
        self._watch = UnitWatch(settings=self._settings, troubled=troubled)
        self._changed.clear()
        self._wake.clear()
        bus = SystemdBus(address=self._settings.bus_address, on_change=self._on_change)
        try:
            await bus.connect()
            gone = asyncio.create_task(bus.disconnected(), name="systemd bus")
            try:
                await self._follow(bus, gone, emit)
            finally:
                gone.cancel()
                await asyncio.wait({gone})
            message = f"the connection to systemd is gone: {gone.result()}"
            raise SourceError(message)
        finally:
            bus.close()

    def _on_change(self, unit: str) -> None:
        if self._watch.wants(unit):
            if len(self._changed) < _MOST_CHANGED:  # else the next look at all finds it
                self._changed.add(unit)
            self._wake.set()

    async def _follow(self, bus: SystemdBus, gone: asyncio.Task[str], emit: Emit) -> None:
        next_full = self._monotonic()
        while not gone.done():
            at = self._monotonic()
            if at >= next_full:
                next_full = at + self._settings.resync_interval
                events = await self._look_at_all(bus)
            else:
                changed, self._changed = self._changed, set()
                facts = await bus.units(sorted(changed)) if changed else []
                events = await self._observe(bus, facts)
            events += self._watch.tick(at=self._monotonic())
            if events:
                await emit(self._batch(events))
            wake = asyncio.create_task(self._wake.wait())
            await asyncio.wait(
                {wake, gone}, timeout=_TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if wake.done():
                await asyncio.sleep(_GATHER_SECONDS)
            wake.cancel()
            self._wake.clear()

    async def _look_at_all(self, bus: SystemdBus) -> list[UnitEvent]:
        facts = [facts for facts in await bus.all_units() if self._watch.wants(facts.name)]
        self._count = len(facts)
        events = await self._observe(bus, facts)
        return events + self._watch.keep_only([f.name for f in facts], at=self._monotonic())

    async def _observe(self, bus: SystemdBus, found: list[UnitFacts]) -> list[UnitEvent]:
        events: list[UnitEvent] = []
        for facts in found:
            known = facts
            if facts.active == "failed":
                known = await bus.detailed(facts)
            elif facts.name.endswith(".service") and facts.active != "inactive":
                known = await bus.restarts(facts)
                if known.restarts:
                    known = await bus.detailed(facts)  # why it was started again
            events += self._watch.observe(known, at=self._monotonic())
        return events

    def _batch(self, events: list[UnitEvent]) -> Batch:
        now = self._clock()
        return Batch(
            source=self.name,
            events=tuple(
                Event(
                    event.text,
                    event.unit.removesuffix(".service"),
                    self.kind,
                    self.name,
                    Provenance.SYSTEMD,
                    now,
                    6 if event.level is Severity.INFO else 3,
                    None,
                    {
                        "unit": event.unit,
                        "level": event.level.value,
                        "state": event.state,
                        "restarts": str(event.restarts),
                    },
                )
                for event in events
            ),
            cursor={"troubled": self._watch.troubled()},
        )
