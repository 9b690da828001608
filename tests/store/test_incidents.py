"""Incidents: one for each key however many ask, claimed once, moved by compare-and-set."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from typing import Any

import pytest
from intake_samples import batch, fingerprint

from daemon.store import incident_queries, incidents, leases, ledger, work
from daemon.store.incidents import How, Incident, NewEvidence, NewIncident, PatternCount
from daemon.store.pool import Database
from daemon.store.prepared import Group
from daemon.store.transitions import Transition, apply, transition_group
from daemon.store.writer import Writer
from tiers.vocabulary import Category, Severity

NOW = dt.datetime.now(dt.UTC)
LEASED = {"open": "reviewing", "escalated": "planning"}
WAITING = {leased: waiting for waiting, leased in LEASED.items()}


def new(key: str = "sshd:auth", severity: Severity = Severity.WARNING) -> NewIncident:
    return NewIncident(
        severity=severity,
        category=Category.AUTH,
        title="many failed passwords",
        unit="sshd",
        correlation=key,
        at=NOW,
        condition={"silence": 900},
    )


async def open_one(pool: Database, wanted: NewIncident | None = None, reopen: float = 3600):
    async with work.begin(pool) as unit:
        return await incidents.open_or_join(unit, wanted or new(), reopen_seconds=reopen)


def move(incident: Incident, to: str, **changes: Any) -> Transition:
    values: dict[str, Any] = {
        "incident_id": incident.id,
        "from_state": incident.state,
        "fence": incident.fence,
        "to_state": to,
        "happening": "test",
        "actor": "daemon",
        "reason": "because",
    }
    return Transition(**{**values, **changes})


async def close(pool: Database, incident: Incident) -> None:
    async with work.begin(pool) as unit:
        assert await apply(unit, [move(incident, "closed")]) == {incident.id}


async def test_one_incident_for_a_key_however_many_ask(pool: Database) -> None:
    opened = await asyncio.gather(*(open_one(pool) for _ in range(24)))
    assert len({found.incident.id for found in opened}) == 1
    assert sorted(found.how for found in opened) == [How.JOINED] * 23 + [How.OPENED]


async def test_joining_raises_the_severity_and_never_lowers_it(pool: Database) -> None:
    await open_one(pool)
    lower = await open_one(pool, new(severity=Severity.INFO))
    assert lower.incident.severity is Severity.WARNING
    assert not lower.worsened
    higher = await open_one(pool, new(severity=Severity.CRITICAL))
    assert higher.incident.severity is Severity.CRITICAL
    assert higher.worsened


async def test_what_returns_soon_is_reopened_not_doubled(pool: Database) -> None:
    first = await open_one(pool)
    await close(pool, first.incident)
    again = await asyncio.gather(*(open_one(pool) for _ in range(10)))
    assert {found.incident.id for found in again} == {first.incident.id}
    assert sorted(found.how for found in again) == [How.JOINED] * 9 + [How.REOPENED]
    reopened = again[0].incident
    assert (reopened.state, reopened.reopened, reopened.closed_at) == ("open", 1, None)


async def test_what_returns_late_is_new(pool: Database) -> None:
    first = await open_one(pool)
    await close(pool, first.incident)
    later = await open_one(pool, reopen=0)
    assert later.how is How.OPENED
    assert later.incident.id != first.incident.id


async def test_opening_while_it_is_closed_ends_in_one_live_incident(pool: Database) -> None:
    for _ in range(10):
        current = (await open_one(pool)).incident
        async with work.begin(pool) as unit:
            locked = await incidents.lock(unit, current.id)
        assert locked is not None
        await asyncio.gather(close(pool, locked), *(open_one(pool) for _ in range(4)))
        async with pool.connection() as connection:
            live = await incident_queries.listing(
                connection, incident_queries.IncidentFilter(states=["open"])
            )
        assert len(live) <= 1


async def test_claims_share_the_work_and_the_worst_comes_first(pool: Database) -> None:
    for number in range(20):
        severity = Severity.CRITICAL if number == 17 else Severity.NOTICE
        await open_one(pool, new(f"key-{number}", severity))

    async def claim(owner: str) -> list[Incident]:
        async with work.begin(pool) as unit:
            return await leases.claim(unit, owner=owner, states=LEASED, limit=5, lease_seconds=60)

    first = await claim("w0")
    assert first[0].severity is Severity.CRITICAL
    rest = await asyncio.gather(*(claim(f"w{number}") for number in range(1, 6)))
    ids = [incident.id for taken in (first, *rest) for incident in taken]
    assert len(ids) == len(set(ids)) == 20
    assert {incident.state for taken in rest for incident in taken} == {"reviewing"}
    assert await claim("late") == []


async def test_a_lease_that_ran_out_goes_back_and_its_holder_cannot_write(pool: Database) -> None:
    await open_one(pool)
    async with work.begin(pool) as unit:
        (held,) = await leases.claim(unit, owner="w", states=LEASED, limit=1, lease_seconds=0)
    async with work.begin(pool) as unit:
        assert await leases.expire(unit, states=WAITING) == [held.id]
    async with work.begin(pool) as unit:
        assert not await leases.renew(
            unit, incident_id=held.id, fence=held.fence, owner="w", lease_seconds=60
        )
        assert await apply(unit, [move(held, "watching")]) == set()
    async with work.begin(pool) as unit:
        (again,) = await leases.claim(unit, owner="v", states=LEASED, limit=1, lease_seconds=60)
        assert again.attempts == 2
        assert await leases.renew(
            unit, incident_id=held.id, fence=again.fence, owner="v", lease_seconds=60
        )
    async with pool.connection() as connection:
        story = [entry.content["happening"] for entry in await ledger.read(connection)]
    assert story == ["opened", "claimed", "lease lost", "claimed"]


async def test_only_one_of_many_rivals_moves_an_incident(pool: Database) -> None:
    incident = (await open_one(pool)).incident

    async def rival(number: int) -> bool:
        async with work.begin(pool) as unit:
            return bool(await apply(unit, [move(incident, "closed", reason=f"r{number}")]))

    won = await asyncio.gather(*(rival(number) for number in range(16)))
    assert sum(won) == 1
    async with pool.connection() as connection:
        closed = await incident_queries.get(connection, incident.id)
        assert len(await ledger.read(connection)) == 2
    assert closed is not None
    assert closed.close_reason == f"r{won.index(True)}"


async def test_an_incident_that_waits_is_not_claimed_before_its_time(pool: Database) -> None:
    incident = (await open_one(pool)).incident
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    async with work.begin(pool) as unit:
        await apply(unit, [move(incident, "open", next_at=later)])
    async with work.begin(pool) as unit:
        assert await leases.claim(unit, owner="w", states=LEASED, limit=5, lease_seconds=9) == []


async def test_grouped_transitions_commit_with_their_follow_ups_or_not_at_all(
    pool: Database,
) -> None:
    opened = [(await open_one(pool, new(f"k{number}"))).incident for number in range(12)]

    async def follow_up(unit: work.Work, incident: Incident) -> None:
        if incident.id == opened[5].id:
            await unit.connection.execute("select 1/0")
        await incidents.add_evidence(
            unit,
            incident_id=incident.id,
            items=[NewEvidence(provenance="text", source="s", text="t", at=NOW)],
        )

    async with transition_group(pool) as group:
        results = await asyncio.gather(
            *(
                group.apply(
                    move(incident, "closed"),
                    follow_up=lambda unit, incident=incident: follow_up(unit, incident),
                )
                for incident in opened
            ),
            return_exceptions=True,
        )
        stale = await group.apply(move(opened[0], "watching"))
    assert stale is False
    assert [result is True for result in results] == [n != 5 for n in range(12)]
    assert "division by zero" in str(results[5])
    async with pool.connection() as connection:
        closed = await incident_queries.listing(
            connection, incident_queries.IncidentFilter(states=["closed"])
        )
        evidence = await (await connection.execute("select count(*) from evidence")).fetchone()
    assert len(closed) == 11
    assert evidence == (11,)
    assert (await ledger.verify(pool)).head.seq == 12 + 11


async def test_a_group_that_stops_leaves_nobody_waiting(pool: Database) -> None:
    incident = (await open_one(pool)).incident
    async with transition_group(pool) as group:
        waiting = [asyncio.create_task(group.apply(move(incident, "closed"))) for _ in range(5)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(result in (True, False) or "stopping" in str(result) for result in results)


async def test_evidence_is_numbered_in_order_and_bounded(pool: Database) -> None:
    incident = (await open_one(pool)).incident

    async def add(text: str) -> tuple[str, ...]:
        item = NewEvidence(provenance="text", source="s", text=text, at=NOW)
        async with work.begin(pool) as unit:
            return await incidents.add_evidence(
                unit, incident_id=incident.id, items=[item, item], most=9
            )

    refs = [
        ref for added in await asyncio.gather(*(add("\x00") for _ in range(6))) for ref in added
    ]
    assert sorted(refs, key=lambda ref: int(ref[1:])) == [f"E{n}" for n in range(1, 10)]
    async with pool.connection() as connection:
        assert len(await incident_queries.evidence_of(connection, incident.id)) == 9


async def test_pattern_counts_add_up(pool: Database) -> None:
    await Writer(database=pool).commit(Group.of([batch(text="a"), batch(text="b")]))
    incident = (await open_one(pool)).incident
    count = PatternCount(
        fingerprint=fingerprint("a"),
        count=3,
        first_at=NOW,
        last_at=NOW,
        top_values=(("ip", "1", 3),),
    )
    other = dataclasses.replace(count, fingerprint=fingerprint("b"), count=1)

    async def add() -> None:
        async with work.begin(pool) as unit:
            await incidents.add_patterns(unit, incident_id=incident.id, counts=[count, other])

    await asyncio.gather(*(add() for _ in range(6)))
    async with pool.connection() as connection:
        shown = await incident_queries.get(connection, incident.id)
        counted = await incident_queries.patterns_of(connection, incident.id)
        assert [i.id for i in await incident_queries.of_pattern(connection, fingerprint("a"))] == [
            incident.id
        ]
    assert shown is not None
    assert shown.event_count == 24
    assert (counted[0].count, counted[0].top_values) == (18, [["ip", "1", 3]])


async def test_parents_never_form_a_circle(pool: Database) -> None:
    a, b, c = [(await open_one(pool, new(key))).incident.id for key in "abc"]

    async def adopt(child: int, parent: int) -> bool:
        async with work.begin(pool) as unit:
            return await incidents.set_parent(unit, child=child, parent=parent)

    assert await adopt(b, a)
    assert await adopt(c, b)
    assert not await adopt(a, c)
    assert not await adopt(a, a)
    assert not await adopt(b, a)  # known already
    async with pool.connection() as connection:
        shown = await incident_queries.listing(
            connection, incident_queries.IncidentFilter(parent=a)
        )
    assert [incident.id for incident in shown] == [b]


@pytest.mark.parametrize("words", ["100%", "a_b", "\\", "'; drop table incidents; --", "nul\x00"])
async def test_search_takes_words_as_they_are(pool: Database, words: str) -> None:
    await open_one(pool, dataclasses.replace(new(), title=f"x {words} y"))
    await open_one(pool, dataclasses.replace(new("other"), title="nothing"))
    async with pool.connection() as connection:
        found = await incident_queries.listing(
            connection, incident_queries.IncidentFilter(contains=words.strip("\x00"))
        )
        counts = await incident_queries.counts(connection)
    assert len(found) == 1
    assert [(count.state, count.count) for count in counts] == [("open", 2)]
