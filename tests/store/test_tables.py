"""The smaller tables: events, metrics, mutes, assessments, reviews and accounting."""

from __future__ import annotations

import datetime as dt

import pytest
from intake_samples import batch, fingerprint

from daemon.store import (
    accounting,
    assessments,
    events,
    incidents,
    ledger,
    metrics,
    mutes,
    reviews,
    work,
)
from daemon.store.errors import StoreRejectedError
from daemon.store.events import EventFilter
from daemon.store.pool import Database
from daemon.store.prepared import Group
from daemon.store.writer import Writer
from tiers.contracts import (
    ActionRequest,
    Assessment,
    Disposition,
    Plan,
    ToolResult,
    ToolTrace,
    Usage,
)
from tiers.vocabulary import Category, Severity

NOW = dt.datetime.now(dt.UTC)
HOUR = dt.timedelta(hours=1)
USAGE = Usage(model="m", endpoint="e", prompt_tokens=9, completion_tokens=3, seconds=0.5)


async def test_events_are_found_by_words_unit_time_and_priority(pool: Database) -> None:
    await Writer(database=pool).commit(
        Group.of(
            [
                batch(text="disk 100% full", priority=2),
                batch(text="disk 100 full", unit="cron", attributes={"a": "b"}),
            ]
        )
    )
    window = {"since": NOW - HOUR, "until": NOW + HOUR}
    async with pool.connection() as connection:

        async def texts(**changes) -> list[str]:
            found = await events.query(connection, EventFilter(**{**window, **changes}))
            return sorted(row.text for row in found)

        assert await texts() == ["disk 100 full", "disk 100% full"]
        assert await texts(contains="0% F") == ["disk 100% full"]
        assert await texts(unit="cron") == ["disk 100 full"]
        assert await texts(priority=3) == ["disk 100% full"]
        assert await texts(fingerprint=fingerprint("disk 100 full")) == ["disk 100 full"]
        assert await texts(until=NOW - HOUR / 2) == []
        assert len(await events.query(connection, EventFilter(**window), limit=1)) == 1


async def test_metric_history_comes_in_buckets(pool: Database) -> None:
    start = NOW.replace(microsecond=0) - HOUR
    samples = [
        metrics.Sample(at=start + dt.timedelta(seconds=30 * n), name="disk", target="/", value=n)
        for n in range(120)
    ]
    async with pool.connection() as connection:
        await metrics.record(connection, samples)
        await metrics.record(connection, [])
        history = await metrics.history(
            connection, name="disk", target="/", since=start, until=start + HOUR, buckets=6
        )
        latest = await metrics.latest(connection, within_seconds=7200)
        assert await metrics.history(connection, name="none", since=start, until=NOW) == []
    assert [bucket.samples for bucket in history] == [20] * 6
    first = history[0]
    assert (first.at, first.lowest, first.average, first.highest, first.latest) == (
        start,
        0,
        9.5,
        19,
        19,
    )
    assert [(sample.name, sample.value) for sample in latest] == [("disk", 119)]


async def test_mutes_hold_until_lifted_or_expired(pool: Database) -> None:
    async with work.begin(pool) as unit:
        kept = await mutes.add(unit, reason="planned", created_by="operator:ada", unit="cron")
        await mutes.add(
            unit, reason="old", created_by="operator:ada", contains="x", expires_at=NOW - HOUR
        )
    async with pool.connection() as connection:
        assert [mute.id for mute in await mutes.in_force(connection)] == [kept.id]
    async with work.begin(pool) as unit:
        assert await mutes.lift(unit, mute_id=kept.id, why="done", actor="operator:ada")
    async with work.begin(pool) as unit:
        assert await mutes.lift(unit, mute_id=kept.id, why="done", actor="operator:ada") is None
    async with pool.connection() as connection:
        assert await mutes.in_force(connection) == []
        assert len(await mutes.listing(connection)) == 2
        kinds = [entry.kind for entry in await ledger.read(connection)]
    assert kinds == ["mute", "mute", "unmute"]


@pytest.mark.parametrize("about", [{}, {"fingerprint": "0" * 16}])
async def test_a_mute_about_nothing_is_refused(pool: Database, about: dict) -> None:
    async def add() -> None:
        async with work.begin(pool) as unit:
            await mutes.add(unit, reason="r", created_by="operator:ada", **about)

    with pytest.raises(StoreRejectedError, match="refused the data"):
        await add()


async def test_assessments_and_plans_keep_what_they_rest_on(pool: Database) -> None:
    async with work.begin(pool) as unit:
        opened = await incidents.open_or_join(
            unit,
            incidents.NewIncident(
                severity=Severity.WARNING,
                category=Category.AUTH,
                title="t",
                unit="u",
                correlation="k",
                at=NOW,
            ),
            reopen_seconds=0,
        )
    request = ActionRequest(code="restart_unit:x", reason="r\x00", evidence=("E1",))
    trace = ToolTrace(
        name="unit_status",
        arguments={"unit": "x"},
        result=ToolResult(ok=True, summary="s" * 9999),
        seconds=1,
    )
    assessment = Assessment(
        cause="brute_force",
        severity=Severity.CRITICAL,
        disposition=Disposition.ESCALATE,
        confidence=0.5,
        summary="nul \x00",
        evidence=("E1", "E2"),
        actions=(request,),
        usage=USAGE,
        tool_calls=(trace,),
    )
    plan = Plan(
        cause="brute_force",
        severity=Severity.CRITICAL,
        summary="s",
        steps=(request,),
        advice=("block it",),
        success="quiet",
        confidence=0.7,
        evidence=("E1",),
        usage=USAGE,
    )
    incident_id = opened.incident.id
    async with work.begin(pool) as unit:
        await assessments.record_assessment(unit, incident_id=incident_id, assessment=assessment)
        await assessments.record_plan(
            unit, incident_id=incident_id, plan=plan, disposition="attention"
        )
    async with pool.connection() as connection:
        review, meta = await assessments.of_incident(connection, incident_id)
        latest = await assessments.latest(connection, [incident_id, 999])
        kinds = [entry.kind for entry in await ledger.read(connection, incident_id=incident_id)]
    assert (review.tier, review.evidence, review.actions[0]["code"]) == (
        "review",
        ["E1", "E2"],
        "restart_unit:x",
    )
    assert len(review.tool_calls[0]["summary"]) == 2000
    assert (meta.tier, meta.advice, meta.success) == ("meta", ["block it"], "quiet")
    assert latest == {incident_id: meta}
    assert kinds == ["transition", "assessment", "plan"]
    assert (await ledger.verify(pool)).holds


async def test_a_review_ends_once(pool: Database) -> None:
    async with work.begin(pool) as unit:
        number = await reviews.begin(unit, since=NOW - HOUR, trigger="schedule")
    async with pool.connection() as connection:
        assert await reviews.last_done(connection) is None
    for expected in (True, False):
        async with work.begin(pool) as unit:
            done = await reviews.finish(
                unit, review_id=number, looked_at={"events": 3}, summary="calm", usage=USAGE
            )
        assert done is expected
    async with pool.connection() as connection:
        last = await reviews.last_done(connection)
        assert last is not None
        assert (last.summary, last.looked_at) == ("calm", {"events": 3})
        assert await reviews.listing(connection) == [last]


async def test_accounting_is_shown_by_source_and_reason(pool: Database) -> None:
    await Writer(database=pool).commit(Group.of([batch(source="a", dropped=3), batch(source="b")]))
    async with pool.connection() as connection:
        counters = await accounting.counters(connection)
        drops = await accounting.drops(connection)
    assert [(c.source, c.received, c.stored, c.folded, c.dropped) for c in counters] == [
        ("a", 13, 1, 9, 3),
        ("b", 10, 1, 9, 0),
    ]
    assert [(drop.source, drop.reason, drop.count) for drop in drops] == [("a", "muted-storm", 3)]
