"""What the host measures: every sample to a sink, events only where something changed."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from daemon.events import Batch, Cursor, Event
from daemon.sources.alarms import Alarm, Alarms
from daemon.sources.base import Emit
from daemon.sources.mounts import MountProbe, Space
from daemon.sources.probes import Counters, Probes, Reading, size_words
from daemon.sources.settings import MetricsSettings
from daemon.sources.threads import OneThread
from tiers.vocabulary import Provenance, Severity, SourceKind


def boot_time() -> float:
    """Seconds since boot, sleep included: unlike `time.monotonic` it goes on while the host is
    suspended, so that waking up does not look like a clock that was set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One sample. `at` is Unix time; `target` is "" for the whole host."""

    name: str
    target: str
    value: float
    at: float


class MetricSink(Protocol):
    """Where samples go."""

    async def record(self, samples: Sequence[Metric]) -> None:
        """Keeps the samples, or counts that it could not: an outage of the store must not stop the
        measuring. What it raises makes the source start again."""
        ...


class HostProbes(Protocol):
    """What reads the host; `Probes` in production. Blocking."""

    def fast(self) -> list[Reading]: ...

    def slow(self) -> list[Reading]: ...

    def counters(self) -> Counters: ...


class Mounts(Protocol):
    """What asks the mounts; `MountProbe` in production. None: a mount that does not answer."""

    async def measure(self) -> dict[str, Space | None]: ...

    def close(self) -> None: ...


class MetricsSource:
    """Samples at an interval. The cursor holds the alarms that are up, so that a restart neither
    repeats them nor misses that they ended."""

    kind = SourceKind.METRICS
    name = "metrics"

    def __init__(
        self,
        *,
        settings: MetricsSettings,
        sink: MetricSink,
        probes: HostProbes | None = None,
        mounts: Mounts | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = boot_time,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._probes = probes or Probes()
        self._mounts = mounts
        self._clock = clock
        self._monotonic = monotonic
        self._alarms = Alarms(settings=settings, levels={})
        self._counters: Counters | None = None
        self._offset: float | None = None  # wall clock minus monotonic clock
        self._measured_mounts = 0

    @property
    def watching(self) -> str:
        return (
            "processors, memory, pressure, temperatures, clock and "
            f"{self._measured_mounts} mounted file systems"
        )

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        """Seconds since the metric left its last alarm, or was first measured without one; None
        while an alarm is up, or where it is not measured."""
        return self._alarms.gone_for(metric, target, at=self._monotonic())

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Until cancelled. What the sink raises goes through."""
        levels = (cursor or {}).get("levels", {})
        self._alarms = Alarms(settings=self._settings, levels=levels)
        self._counters = None
        self._offset = None
        thread = OneThread(name="metrics")
        mounts = self._mounts or MountProbe(
            exclude=self._settings.mount_exclude, timeout=self._settings.mount_timeout
        )
        next_slow = self._monotonic()
        due = next_slow
        try:
            while True:
                readings = await thread.call(self._probes.fast)
                counters = await thread.call(self._probes.counters)
                at, now = self._monotonic(), self._clock()
                alarms = self._since_last(counters, readings, at=at, now=now)
                if at >= next_slow:
                    next_slow = at + self._settings.slow_interval
                    readings += await thread.call(self._probes.slow)
                    alarms += self._mount_readings(await mounts.measure(), readings)
                for reading in readings:
                    alarms += self._alarms.observe(reading, at=at)
                await self._sink.record([Metric(r.name, r.target, r.value, now) for r in readings])
                if alarms:
                    await emit(self._batch(alarms, now=now))
                due = max(due + self._settings.interval, self._monotonic())
                await asyncio.sleep(max(0.0, due - self._monotonic()))
        finally:
            thread.close()
            mounts.close()

    def _since_last(
        self, counters: Counters, readings: list[Reading], *, at: float, now: float
    ) -> list[Alarm]:
        """What only two samples tell: processor use, OOM kills, a clock that was set."""
        alarms = []
        before, self._counters = self._counters, counters
        if before is not None:
            total = counters.cpu_total - before.cpu_total
            if total > 0:
                busy = 100.0 * (counters.cpu_busy - before.cpu_busy) / total
                readings.append(Reading("cpu", "", min(100.0, max(0.0, busy))))
            if counters.oom_kills is not None and before.oom_kills is not None:
                killed = counters.oom_kills - before.oom_kills
                if killed > 0:
                    text = f"the kernel ended {killed} processes because memory ran out"
                    alarms.append(self._moment("oom_kills", Severity.CRITICAL, text, killed, at))
        offset, self._offset = self._offset, now - at
        if offset is not None and abs(step := now - at - offset) >= self._settings.clock_step:
            way = "forward" if step > 0 else "back"
            text = f"the clock was set {way} by {abs(step):.0f} s"
            alarms.append(self._moment("clock_step", Severity.WARNING, text, step, at))
        return alarms

    def _moment(self, metric: str, level: Severity, text: str, value: float, at: float) -> Alarm:
        self._alarms.note_over(metric, "", at=at)
        return Alarm(metric=metric, target="", level=level, text=text, value=value)

    def _mount_readings(
        self, spaces: dict[str, Space | None], readings: list[Reading]
    ) -> list[Alarm]:
        self._measured_mounts = len(spaces)
        for target, space in spaces.items():
            readings.append(Reading("mount_unresponsive", target, float(space is None)))
            if space is None:
                continue
            readings.append(
                Reading("disk", target, space.used, f"{size_words(space.free_bytes)} free")
            )
            if space.inodes is not None:
                readings.append(Reading("inodes", target, space.inodes))
        present = set(spaces)
        return [
            alarm
            for metric in ("disk", "inodes", "mount_unresponsive")
            for alarm in self._alarms.forget(metric, present)
        ]

    def _batch(self, alarms: list[Alarm], *, now: float) -> Batch:
        events = tuple(
            Event(
                alarm.text,
                f"{alarm.metric}:{alarm.target}" if alarm.target else alarm.metric,
                self.kind,
                self.name,
                Provenance.MEASURED,
                now,
                _PRIORITY[alarm.level],
                None,
                alarm.attributes(),
            )
            for alarm in alarms
        )
        return Batch(source=self.name, events=events, cursor={"levels": self._alarms.levels()})


_PRIORITY = {Severity.INFO: 6, Severity.NOTICE: 5, Severity.WARNING: 4, Severity.CRITICAL: 2}
"""Syslog's number for our words."""
