"""What recurs: the store's maintenance every hour, and what the operator put on the schedule."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from daemon.escalation.holistic import HolisticReview
from daemon.events import Batch, Cursor
from daemon.sources.base import Emit
from daemon.sources.schedule import Entry, Schedule
from daemon.sources.settings import ScheduleSettings
from daemon.sources.when import parse_when
from daemon.store.errors import StoreError, StoreUnavailableError
from daemon.store.partitions import MaintenanceReport

log = structlog.get_logger()

_INTERVAL = 3600.0
_AGAIN = 60.0


class Maintained(Protocol):
    """`daemon.store.partitions.Maintenance`."""

    async def run(self) -> MaintenanceReport: ...


async def maintain(store: Maintained) -> None:
    """Runs the maintenance every hour until cancelled; sooner again while the store is away, and
    after what it cannot do, which is said once: triage goes on meanwhile."""
    alarms: tuple[str, ...] = ()
    problem = ""
    while True:
        pause = _INTERVAL
        try:
            report = await store.run()
        except StoreUnavailableError:
            pause = _AGAIN
        except (StoreError, OSError) as error:
            pause = _AGAIN
            if str(error) != problem:
                log.error("store maintenance failed; trying again", why=str(error))
            problem = str(error)
        else:
            if problem:
                log.info("store maintenance works again")
            problem = ""
            if report.alarms != alarms:
                for alarm in report.alarms:
                    log.warning("store maintenance", alarm=alarm)
            alarms = report.alarms
        await asyncio.sleep(pause)


SCHEDULE = "schedule"
"""The source name under which the last runs are kept."""


async def follow_schedule(
    settings: ScheduleSettings, *, review: HolisticReview, cursor: Cursor | None, emit: Emit
) -> None:
    """Runs what is due until cancelled. `cursor` holds the last runs by name; each run is kept the
    way every source keeps its position."""
    if not settings.enabled:
        return
    last_runs = {str(name): float(at) for name, at in (cursor or {}).items()}

    async def review_all() -> None:
        await review.run_now(trigger="schedule")

    async def ran(name: str, at: float) -> None:
        last_runs[name] = at
        await emit(Batch(source=SCHEDULE, events=(), cursor=dict(last_runs)))

    schedule = Schedule(
        entries=[Entry(name="review", when=parse_when(settings.review), run=review_all)]
    )
    await schedule.run(last_runs=last_runs, ran=ran)
