"""How bad it is, and what follows. Pure.

| level  | models                                            | reached when                      |
|--------|---------------------------------------------------|-----------------------------------|
| calm   | do as configured                                  |                                   |
| short  | answers are capped, fewer calls at once           | swap, low memory, stalls, full GPU|
| asleep | the same, and the largest idle model is stopped   | hardly any memory, or all wait    |

Up goes at once, and may skip a step; down goes one step at a time, after a calm that lasted, and
calm is meant a quarter better than what raised the level: nothing oscillates.
"""

from __future__ import annotations

import dataclasses
import enum

from tiers.pressure.settings import GuardSettings

_GIB = 2**30
_MIB = 2**20
_EASED = 0.75
"""What raised a level must fall to this share, or a reserve rise by the inverse, to be calm."""


class Level(enum.IntEnum):
    """See the table above."""

    CALM = 0
    SHORT = 1
    ASLEEP = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """One look. Bytes; stalls in percent of the last ten seconds; None where nobody says."""

    available: int
    capacity: int
    swap_used: int
    stall_some: float | None = None
    stall_full: float | None = None
    gpu_free: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """What holds now: the level, why in a sentence, and since when it could be lower (monotonic
    seconds; None while it could not)."""

    level: Level = Level.CALM
    why: str = ""
    calm_since: float | None = None


def reasons(pressure: Pressure, settings: GuardSettings, *, ease: float = 1.0) -> dict[Level, str]:
    """Why each level above calm is called for; a level that is not called for is missing. `ease`
    below 1 asks whether it would still be called for if limits were so much stricter."""
    found: dict[Level, str] = {}
    swap = pressure.swap_used / _GIB
    if swap >= settings.swap_gib * ease:
        found[Level.SHORT] = f"{swap:.1f} GiB of swap are in use"
    percent = 100 * pressure.available / pressure.capacity if pressure.capacity else 100.0
    left = f"{percent:.0f} % of memory ({pressure.available / _GIB:.1f} GiB) are available"
    if percent * ease < settings.low_percent:
        found[Level.SHORT] = left
    if percent * ease < settings.critical_percent:
        found[Level.ASLEEP] = left
    some, full = pressure.stall_some, pressure.stall_full
    if some is not None and some >= settings.stall_percent * ease:
        found[Level.SHORT] = f"processes wait for memory {some:.0f} % of the time"
    if full is not None and full >= settings.stall_percent / 2 * ease:
        found[Level.ASLEEP] = f"all processes wait for memory {full:.0f} % of the time"
    gpu = pressure.gpu_free
    if gpu is not None and gpu * ease < settings.gpu_mib * _MIB:
        found.setdefault(Level.SHORT, f"{gpu / _MIB:.0f} MiB are free on a GPU")
    return found


def following(stance: Stance, pressure: Pressure, settings: GuardSettings, *, now: float) -> Stance:
    """The stance after one look."""
    called = reasons(pressure, settings)
    worst = max(called, default=Level.CALM)
    if worst > stance.level:
        return Stance(level=worst, why=called[worst])
    if stance.level is Level.CALM:
        return stance
    # Would what holds now be called for, were the limits a quarter stricter?
    still = reasons(pressure, settings, ease=_EASED)
    if max(still, default=Level.CALM) >= stance.level:
        return dataclasses.replace(stance, calm_since=None)
    since = now if stance.calm_since is None else stance.calm_since
    if now - since < settings.hold_seconds:
        return dataclasses.replace(stance, calm_since=since)
    lower = Level(stance.level - 1)
    why = still.get(lower, "memory is just getting free again") if lower else ""
    return Stance(level=lower, why=why, calm_since=now if lower else None)
