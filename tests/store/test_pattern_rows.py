"""Patterns: handed out once to be judged, and what is not attached yet is taken exactly once."""

from __future__ import annotations

import asyncio
import dataclasses

from intake_samples import NOW, batch, delta, fingerprint

from daemon.store import ledger, patterns, verdicts, work
from daemon.store.pool import Database
from daemon.store.prepared import Group
from daemon.store.writer import Writer
from tiers.contracts import Usage, Verdict
from tiers.vocabulary import Category, Severity, Urgency

USAGE = Usage(model="m", endpoint="e", prompt_tokens=1, completion_tokens=0, seconds=0.1)


def verdict(text: str, *, escalate: bool = True) -> Verdict:
    return Verdict(
        fingerprint=fingerprint(text),
        escalate=escalate,
        probability=0.9,
        severity=Severity.WARNING,
        category=Category.AUTH,
        urgency=Urgency.TODAY,
        usage=USAGE,
    )


async def write(pool: Database, *texts: str) -> None:
    await Writer(database=pool).commit(Group.of([batch(text=text) for text in texts]))


async def judge(pool: Database, text: str, *, escalate: bool = True) -> int | None:
    async with work.begin(pool) as unit:
        return await patterns.record_verdict(
            unit, verdict=verdict(text, escalate=escalate), reason="new", burst=7, correlation="k"
        )


async def claim(pool: Database, owner: str, limit: int = 10) -> list[str]:
    async with pool.connection() as connection:
        found = await patterns.claim_to_judge(
            connection, owner=owner, limit=limit, lease_seconds=60
        )
    return [row.fingerprint for row in found]


async def test_a_pattern_is_judged_by_one_daemon_at_a_time(pool: Database) -> None:
    await write(pool, *(f"p{number}" for number in range(12)))
    taken = await asyncio.gather(*(claim(pool, f"d{number}", limit=3) for number in range(6)))
    flat = [found for found_by_one in taken for found in found_by_one]
    assert len(flat) == len(set(flat)) == 12
    async with pool.connection() as connection:
        owner = f"d{next(n for n, found in enumerate(taken) if found)}"
        first = next(found for found in taken if found)[0]
        await patterns.release(connection, fingerprint=first, owner="other", pause_seconds=0)
        assert await claim(pool, "late") == []
        await patterns.release(connection, fingerprint=first, owner=owner, pause_seconds=0)
    assert await claim(pool, "late") == [first]


async def test_the_highest_floor_is_judged_first(pool: Database) -> None:
    await write(pool, "quiet")
    loud = dataclasses.replace(
        batch(text="loud"),
        patterns=(delta("loud", 10, floor=Severity.CRITICAL, judge_reason="rule"),),
    )
    await Writer(database=pool).commit(Group.of([loud]))
    assert await claim(pool, "d", limit=1) == [fingerprint("loud")]


async def test_a_verdict_is_in_force_recorded_and_asked_for_once(pool: Database) -> None:
    await write(pool, "a")
    number = await judge(pool, "a")
    assert number is not None
    assert await claim(pool, "d") == []
    await write(pool, "a")  # says "new" again, as a daemon would that has not heard of the verdict
    assert await claim(pool, "d") == []
    async with pool.connection() as connection:
        (row,) = await patterns.get(connection, [fingerprint("a")])
        (entry,) = await ledger.read(connection, kinds=["verdict"])
        assert await patterns.ask_again(connection, fingerprints=[row.fingerprint], reason="age")
        (shown,) = await verdicts.of_pattern(connection, row.fingerprint)
    assert (row.verdict_id, row.escalate, row.severity, row.correlation) == (
        number,
        True,
        "warning",
        "k",
    )
    assert (row.judged_burst, row.judge_reason, row.count) == (7, None, 20)
    assert entry.content["verdict"] == shown.id == number
    assert await claim(pool, "d") == [fingerprint("a")]


async def test_a_verdict_about_nothing_is_none(pool: Database) -> None:
    assert await judge(pool, "unknown") is None


async def test_what_is_not_attached_is_taken_exactly_once(pool: Database) -> None:
    await write(pool, "a", "b", "quiet")
    for text in ("a", "b"):
        await judge(pool, text)
    await judge(pool, "quiet", escalate=False)
    async with pool.connection() as connection:
        waiting = await patterns.to_attach(connection, limit=10)
        assert await patterns.settle_quiet(connection) == 1
    assert {row.fingerprint for row in waiting} == {fingerprint("a"), fingerprint("b")}
    taken = 0

    async def take() -> None:
        nonlocal taken
        for _ in range(5):
            async with work.begin(pool) as unit:
                found = await patterns.take_unattached(
                    unit, fingerprints=[row.fingerprint for row in waiting]
                )
            taken += sum(found.values())

    await asyncio.gather(take(), take(), *(write(pool, "a", "b") for _ in range(10)))
    await take()
    assert taken == 220
    async with pool.connection() as connection:
        assert await patterns.to_attach(connection, limit=10) == []


async def test_loading_pages_through_everything(pool: Database) -> None:
    many = dataclasses.replace(
        batch(), patterns=tuple(delta(f"p{number}", 0) for number in range(4500))
    )
    await Writer(database=pool).commit(Group.of([many]))
    loaded = [row.fingerprint async for row in patterns.load(pool)]
    assert len(set(loaded)) == len(loaded) == 4500
    async with pool.connection() as connection:
        assert len(await patterns.load_recent(connection, limit=7)) == 7
        assert await patterns.load_aliases(connection, fingerprints=loaded) == []


async def test_an_older_sender_does_not_set_the_rate_back(pool: Database) -> None:
    writer = Writer(database=pool)
    for rate, at in ((5.0, NOW + 60), (1.0, NOW)):
        sent = dataclasses.replace(batch(), patterns=(delta("r", 10, rate=rate, rate_at=at),))
        await writer.commit(Group.of([sent]))
    async with pool.connection() as connection:
        (row,) = await patterns.get(connection, [fingerprint("r")])
    assert (row.rate, row.count) == (5.0, 20)
