"""What the facade asks of the daemon, over a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.ports import BusyError, ConflictError, EventFilter, IncidentFilter, NewEvent, NotFoundError
from daemon.events import Batch
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import built_in_rules
from daemon.sources.metrics import Metric
from daemon.store import incidents, mutes, work
from daemon.store.incidents import NewIncident, PatternCount
from daemon.store.pool import Database
from daemon.store.prepared import Group
from daemon.store.settings import StoreSettings
from daemon.store.writer import Writer
from daemon.views import incidents as views
from daemon.views.events import EventsView
from daemon.views.incidents import IncidentsView
from daemon.views.records import MetricsView
from tiers.vocabulary import Category, Severity


def fold() -> Fold:
    return Fold(table=PatternTable(), rules=built_in_rules(), limits=Limits(), clock=time.time)


def events_view(pool: Database, emit: Any) -> EventsView:
    return EventsView(database=pool, emit=emit, host="here", text_limit=1_000)


def posted(text: str, **changes: Any) -> NewEvent:
    values: dict[str, Any] = {"text": text, "unit": "app"}
    return NewEvent(**{**values, **changes})


async def emitter(pool: Database) -> tuple[Intake, asyncio.Task[None]]:
    intake = Intake(
        fold=fold(),
        writer=Writer(database=pool),
        on_committed=lambda groups: None,
        queue_batches=4,
        group_events=100,
    )
    return intake, asyncio.create_task(intake.run())


async def test_posted_events_are_stored_when_it_returns(pool: Database) -> None:
    intake, task = await emitter(pool)
    view = events_view(pool, intake.emit)
    odd = dt.datetime(1, 1, 1)  # noqa: DTZ001 - what a client may send
    taken = await view.post(
        [
            posted("one thing", occurred_at=odd),
            posted("one\x00thing", occurred_at=odd.replace(tzinfo=dt.UTC), host="there"),
            posted("x" * 5_000, severity=Severity.CRITICAL),
        ]
    )
    assert taken.accepted == 3
    found = await view.query(EventFilter(limit=10))
    assert sorted(len(event.text) for event in found) == [9, 9, 1_000]
    assert {event.unit for event in found} == {"app", "app@there"}
    task.cancel()
    await asyncio.wait({task})


async def test_whoever_posts_while_it_stops_is_told_to_come_again(pool: Database) -> None:
    intake, task = await emitter(pool)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    with pytest.raises(BusyError, match="stopping"):
        await events_view(pool, intake.emit).post([posted("late")])


async def opened(pool: Database) -> tuple[int, str]:
    folded = fold().batch(
        Batch(source="s", events=(events_view(pool, None)._event(posted("noise")),), cursor=None)
    )
    await Writer(database=pool).commit(Group.of([folded.prepared]))
    fingerprint = folded.lines[0]
    assert fingerprint is not None
    now = dt.datetime.now(tz=dt.UTC)
    async with work.begin(pool) as unit:
        incident = (
            await incidents.open_or_join(
                unit,
                NewIncident(
                    severity=Severity.WARNING,
                    category=Category.SERVICE,
                    title="t",
                    unit="app",
                    correlation="k",
                    at=now,
                ),
                reopen_seconds=60,
            )
        ).incident
        await incidents.add_patterns(
            unit,
            incident_id=incident.id,
            counts=[PatternCount(fingerprint=fingerprint, count=1, first_at=now, last_at=now)],
        )
    return incident.id, fingerprint


def incidents_view(pool: Database, changed: list[int]) -> IncidentsView:
    return IncidentsView(database=pool, memory=None, on_mutes=lambda: changed.append(1))


async def test_a_mute_closes_and_leaves_nothing_that_opens_it_again(pool: Database) -> None:
    number, fingerprint = await opened(pool)
    changed: list[int] = []
    view = incidents_view(pool, changed)
    shown = await view.mute(number, by="me", reason="lab", hours=1, max_per_hour=5)
    assert (shown.state, shown.close_reason, changed) == ("closed", "muted: lab", [1])
    async with pool.connection() as connection:
        (mute,) = await mutes.in_force(connection)
        left = await (await connection.execute("select sum(unattached) from patterns")).fetchone()
    assert (mute.fingerprint, mute.max_per_hour) == (fingerprint, 5)
    assert left == (0,)
    with pytest.raises(ConflictError, match="closed already"):
        await view.close(number, by="me", reason="again")
    with pytest.raises(NotFoundError):
        await view.close(number + 1, by="me", reason="x")


async def test_closing_wins_over_workers_that_move_it(pool: Database) -> None:
    number, _ = await opened(pool)
    view = incidents_view(pool, [])

    async def moves() -> None:
        for _ in range(20):
            async with pool.connection() as connection:
                await connection.execute("update incidents set fence = fence + 1")

    done, _ = await asyncio.gather(view.close(number, by="me", reason="done"), moves())
    assert done.state == "closed"


async def test_a_store_that_is_away_is_busy(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_PATIENCE", 0.5)
    settings = StoreSettings(pool_min=1, pool_max=2, acquire_seconds=1, connect_seconds=1)
    nowhere = Database(conninfo=f"{database} dbname=gone_{time.time_ns()}", settings=settings)
    await nowhere._pool.open(wait=False)
    try:
        with pytest.raises(BusyError):
            await incidents_view(nowhere, []).find(IncidentFilter())
        with pytest.raises(BusyError):
            await incidents_view(nowhere, []).close(1, by="me", reason="x")
        with pytest.raises(BusyError):
            await events_view(nowhere, None).query(EventFilter())
    finally:
        await nowhere.close()


async def test_samples_that_are_refused_are_counted_and_said_once(pool: Database) -> None:
    view = MetricsView(database=pool)
    sample = Metric(at=time.time(), name="cpu", target="", value=1.0)
    async with pool.connection() as connection:
        await connection.execute(b"alter table metrics rename to elsewhere")
    with capture_logs() as logs:
        await view.record([sample, sample])
        await view.record([sample])
    assert view.lost == 3
    assert len(logs) == 1
    async with pool.connection() as connection:
        await connection.execute(b"alter table elsewhere rename to metrics")
    await view.record([sample])
    assert view.lost == 3
