"""What a unit's state means: failed, restarting again and again, recovered. Pure."""

from __future__ import annotations

import dataclasses
import enum
import fnmatch
import signal
from collections import deque
from collections.abc import Iterable, Mapping

from daemon.sources.settings import SystemdSettings
from tiers.vocabulary import Severity

WATCHED = (".service", ".mount", ".automount", ".socket", ".swap", ".timer", ".path", ".target")
"""Kinds of units that can fail in a way that somebody has to know."""

_EXIT_NAMES = {0: "SUCCESS", 1: "FAILURE", 2: "INVALIDARGUMENT", 3: "NOTIMPLEMENTED"} | {
    126: "NOEXEC",
    127: "NOTFOUND",
    200: "CHDIR",
    203: "EXEC",
    208: "STDIN",
    209: "STDOUT",
    214: "SETSCHEDULER",
    216: "GROUP",
    217: "USER",
    226: "NAMESPACE",
    238: "STATE_DIRECTORY",
}
"""From systemd.exec(5), those that are met."""


class Trouble(enum.StrEnum):
    """Why a unit was reported."""

    FAILED = "failed"
    START_LIMIT = "start-limit-hit"
    LOOPING = "restart-loop"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnitFacts:
    """A unit as systemd says it is. `code` is that of waitid(2): 1 exited, 2 killed, 3 dumped;
    the last four are None where the unit has no process."""

    name: str
    active: str
    sub: str
    result: str | None = None
    code: int | None = None
    status: int | None = None
    restarts: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnitEvent:
    """One sentence for intake."""

    unit: str
    text: str
    level: Severity
    state: str
    restarts: int


class _Unit:
    __slots__ = ("active", "active_since", "restart_times", "restarts", "trouble")

    def __init__(self) -> None:
        self.active = ""
        self.active_since: float | None = None
        self.restarts: int | None = None
        self.restart_times: deque[float] = deque()
        self.trouble: Trouble | None = None


class UnitWatch:
    """The state of all units. `troubled` (from a cursor) maps unit to what was said of it."""

    def __init__(self, *, settings: SystemdSettings, troubled: Mapping[str, str]) -> None:
        self._settings = settings
        self._units: dict[str, _Unit] = {}
        for name, word in troubled.items():
            if word in _TROUBLES:
                self._unit(name).trouble = Trouble(word)

    def wants(self, name: str) -> bool:
        """Whether a unit of this name is watched."""
        return name.endswith(WATCHED) and not any(
            fnmatch.fnmatchcase(name, pattern) for pattern in self._settings.ignore
        )

    def troubled(self) -> dict[str, str]:
        """Units that were reported and have not recovered; JSON-ready."""
        return {n: u.trouble.value for n, u in self._units.items() if u.trouble is not None}

    def steady_for(self, name: str, *, at: float) -> float | None:
        """Seconds that a unit has been active without a restart, as far as was seen; None where
        it is not active or not known."""
        unit = self._units.get(name)
        if unit is None or unit.active_since is None:
            return None
        return at - unit.active_since

    def observe(self, facts: UnitFacts, *, at: float) -> list[UnitEvent]:
        """What the latest facts about a unit changed. `at` is monotonic."""
        unit = self._unit(facts.name)
        self._count_restarts(unit, facts, at)
        was_active, unit.active = unit.active, facts.active
        if facts.active != "active":
            unit.active_since = None
        elif unit.active_since is None or was_active != "active":
            unit.active_since = at
        if facts.active == "failed":
            return self._failed(unit, facts)
        if len(unit.restart_times) >= self._settings.restart_limit:
            if unit.trouble is Trouble.LOOPING:
                return []
            unit.trouble = Trouble.LOOPING
            minutes = self._settings.restart_window / 60
            text = (
                f"unit {facts.name} restarts again and again: {len(unit.restart_times)} restarts "
                f"in {minutes:.0f} min, {_why(facts)}"
            )
            return [_event(facts, text, Severity.WARNING, Trouble.LOOPING.value)]
        if facts.active == "inactive" and unit.trouble is not None:
            # A job that runs once is inactive when it succeeded; so is what somebody stopped.
            unit.trouble = None
            text = f"unit {facts.name} is no longer failed: {facts.sub or 'inactive'}"
            return [_event(facts, text, Severity.INFO, "inactive")]
        return []

    def tick(self, *, at: float) -> list[UnitEvent]:
        """Units that have been active and steady for long enough have recovered."""
        events = []
        for name, unit in self._units.items():
            self._forget_old_restarts(unit, at)
            if unit.trouble is None or unit.active_since is None:
                continue
            steady = at - unit.active_since
            if steady >= self._settings.steady_after:
                unit.trouble = None
                unit.restart_times.clear()
                facts = UnitFacts(name=name, active="active", sub="", restarts=unit.restarts)
                text = f"unit {name} recovered: active and steady for {steady:.0f} s"
                events.append(_event(facts, text, Severity.INFO, "active"))
        return events

    def keep_only(self, present: Iterable[str], *, at: float) -> list[UnitEvent]:
        """After a full look: a unit that is no longer loaded is no longer failed."""
        names = set(present)
        events = []
        for name in [n for n in self._units if n not in names]:
            unit = self._units.pop(name)
            if unit.trouble is not None:
                facts = UnitFacts(name=name, active="inactive", sub="gone")
                text = f"unit {name} is no longer failed: it is not loaded any more"
                events.append(_event(facts, text, Severity.INFO, "inactive"))
        return events

    def _unit(self, name: str) -> _Unit:
        return self._units.setdefault(name, _Unit())

    def _count_restarts(self, unit: _Unit, facts: UnitFacts, at: float) -> None:
        before, unit.restarts = unit.restarts, facts.restarts
        if before is not None and facts.restarts is not None and facts.restarts > before:
            unit.restart_times.extend([at] * min(facts.restarts - before, 1_000))
            unit.active_since = None  # active again, but since now
        self._forget_old_restarts(unit, at)

    def _forget_old_restarts(self, unit: _Unit, at: float) -> None:
        times = unit.restart_times
        while times and (at - times[0] > self._settings.restart_window or len(times) > 1_000):
            times.popleft()

    def _failed(self, unit: _Unit, facts: UnitFacts) -> list[UnitEvent]:
        kind = Trouble.START_LIMIT if facts.result == "start-limit-hit" else Trouble.FAILED
        if unit.trouble is kind:
            return []
        unit.trouble = kind
        text = f"unit {facts.name} failed: {_why(facts)}, restarts {facts.restarts or 0}"
        if kind is Trouble.START_LIMIT:
            text += "; it failed too often and is not started again"
        return [_event(facts, text, Severity.WARNING, kind.value)]


def _why(facts: UnitFacts) -> str:
    """Like "exit-code (status 1/FAILURE)" or "signal (killed by SIGSEGV)"."""
    result = facts.result or facts.sub or "unknown"
    if facts.status is None or not facts.code:
        return result
    if facts.code == 1:
        name = _EXIT_NAMES.get(facts.status)
        return f"{result} (status {facts.status}{f'/{name}' if name else ''})"
    try:
        name = signal.Signals(facts.status).name
    except ValueError:
        name = f"signal {facts.status}"
    return f"{result} ({'killed by' if facts.code == 2 else 'dumped core on'} {name})"


def _event(facts: UnitFacts, text: str, level: Severity, state: str) -> UnitEvent:
    return UnitEvent(
        unit=facts.name, text=text, level=level, state=state, restarts=facts.restarts or 0
    )


_TROUBLES = frozenset(trouble.value for trouble in Trouble)
