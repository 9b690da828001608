"""Acting at a glance: what the store says of it, what the daemon does, and the part of the status
that it makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime

from api.ports import Health, PartStatus
from api.ports_actions import ActionsStatus, ActionTally, StopView
from daemon.store import action_past, action_reports
from daemon.store.action_reports import BUCKETS, TallyRow
from daemon.store.pool import Connection
from daemon.views.action_rows import stop_view

PART = "actions"
OBSERVE = "observe"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeptActing:
    """What the store says, of all daemons at it."""

    waiting: int
    running: int
    stopped: StopView | None
    tallies: Sequence[ActionTally]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActingReport:
    """What a daemon says of its acting: its level, and which doors to the host are open."""

    level: str
    privileges: Mapping[str, str] = dataclasses.field(default_factory=dict)


async def read_acting(connection: Connection) -> KeptActing:
    waiting, running = await action_reports.open_counts(connection)
    stopped = stop_view(await action_past.last_switch(connection))
    rows = await action_reports.tallies(connection)
    return KeptActing(
        waiting=waiting,
        running=running,
        stopped=stopped,
        tallies=[_tally(row) for row in rows],
    )


def actions_status(kept: KeptActing, report: ActingReport) -> ActionsStatus:
    return ActionsStatus(
        level=report.level,
        waiting=kept.waiting,
        running=kept.running,
        stopped=kept.stopped,
        privileges=report.privileges,
        tallies=kept.tallies,
    )


def actions_part(status: ActionsStatus, *, since: datetime) -> PartStatus:
    """Stopped is no failure of the daemon, but nobody shall overlook it."""
    wait = "1 proposal waits" if status.waiting == 1 else f"{status.waiting} proposals wait"
    words = [f"level {status.level}", wait]
    if status.running:
        words.append(f"{status.running} under way")
    words += [f"{name} {_door(said)}" for name, said in status.privileges.items()]
    health = Health.ABSENT if status.level == OBSERVE else Health.OK
    if status.stopped is not None:
        health, since = Health.DEGRADED, status.stopped.at
        reason = f": {status.stopped.reason}" if status.stopped.reason else ""
        words.insert(0, f"STOPPED by {status.stopped.by}{reason} (triaged policy resume)")
    return PartStatus(
        name=PART,
        health=health,
        detail="; ".join(words),
        since=since,
        required=False,
        facts={
            "level": status.level,
            "waiting": status.waiting,
            "running": status.running,
            "stopped": status.stopped is not None,
            "privileges": dict(status.privileges),
        },
    )


def _door(said: str) -> str:
    """The first word of the sentence: open or closed."""
    return said.partition(":")[0].partition(" ")[0]


def _tally(row: TallyRow) -> ActionTally:
    within = row.within or [0] * len(BUCKETS)
    return ActionTally(
        kind=row.kind,
        outcome=row.outcome,
        count=row.count,
        timed=row.timed,
        seconds=row.seconds,
        within=dict(zip(BUCKETS, within, strict=True)),
    )
