"""Judging against a real database: once, whoever asks; nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import random

import pytest
from escalation_kit import (
    ScriptedTrigger,
    bench,
    event,
    execute,
    incidents,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.store.pool import Database
from daemon.store.settings import StoreSettings
from tiers.contracts import Sighting, Verdict
from tiers.errors import BadAnswerError, TierRefusedError
from tiers.vocabulary import Severity

UNITS = [f"unit{first}{second}" for first in "abcdef" for second in "abcdef"]
OOM = "Out of memory: Killed process 4242 (postgres) total-vm:8123456kB"


async def counted(pool: Database) -> int:
    return sum(incident.event_count for incident in await incidents(pool))


async def unattached(pool: Database) -> int:
    return int(
        (await execute(pool, "select coalesce(sum(unattached), 0)::int from patterns"))[0][0]
    )


async def test_several_judges_judge_each_pattern_once(pool: Database) -> None:
    trigger = ScriptedTrigger()
    judges = [bench(pool, trigger, owner=f"d{n}", parallel=2) for n in range(4)]
    for unit in UNITS[:30]:
        await judges[0].take([event("bad thing", unit=unit)] * 3)
    await asyncio.gather(*(each.settle() for each in judges))
    assert len(trigger.seen) == 30
    assert (await execute(pool, "select count(*)::int from verdicts"))[0][0] == 30
    assert await counted(pool) == 90
    assert await unattached(pool) == 0


async def test_rules_go_on_while_the_tier_is_down_and_the_model_looks_later(
    pool: Database,
) -> None:
    trigger = ScriptedTrigger()
    trigger.down = True
    one = bench(pool, trigger)
    await one.take([event(OOM, unit="kernel"), event("something unknown")])
    await one.settle()
    (incident,) = await incidents(pool)
    assert (incident.severity, incident.assessed, incident.event_count) == (
        Severity.CRITICAL,
        False,
        1,
    )
    # In one transaction: the verdict by rule, and the request for a model's, after a pause.
    waiting = await execute(
        pool, "select judge_reason, judge_owner, judge_until > now() from patterns"
    )
    assert waiting == [("new", None, True)] * 2
    await execute(pool, "update patterns set judge_until = now() - interval '1 s'")
    trigger.down = False
    await one.take([event(OOM, unit="kernel")])
    await one.settle()
    (incident,) = await incidents(pool)
    assert incident.event_count == 2
    models = await execute(pool, "select model from verdicts order by id")
    assert sorted(model for (model,) in models) == ["rule", "scripted", "scripted"]
    assert await unattached(pool) == 0


@pytest.mark.parametrize(
    "error",
    [
        TierRefusedError("it says no"),
        BadAnswerError("not JSON", problem="not JSON", answer="\x00\ud800"),
        RuntimeError("a defect"),
    ],
)
async def test_what_one_pattern_breaks_does_not_stop_the_others(
    pool: Database, error: Exception
) -> None:
    trigger = ScriptedTrigger()

    async def before(sighting: Sighting) -> None:
        if "odd" in sighting.text:
            raise error

    trigger.before = before
    one = bench(pool, trigger, parallel=1)
    await one.take([event("odd one"), event("bad one"), event("odd two here"), event("bad two x")])
    await one.settle()
    await one.settle()
    assert await counted(pool) == 2
    assert one.judge.counts.failures == 2
    assert one.judge.counts.claimed == 4


async def test_what_came_while_a_second_verdict_was_awaited_is_counted(pool: Database) -> None:
    """A harmless failure that becomes a flood: the occurrences of the flood are the incident's."""
    trigger = ScriptedTrigger()
    one = bench(pool, trigger)
    text = "Failed password for root from 203.0.113.9 port 4000 ssh2"
    await one.take([event(text, unit="sshd", at=1_700_000_000.0)])
    await one.settle()
    assert await incidents(pool) == []
    await one.take(
        [event(text, unit="sshd", at=1_700_000_100.0 + second / 4) for second in range(60)]
    )
    # The quiet are settled before the judge comes to it.
    await one.judge.attach_some()
    await one.settle()
    (incident,) = await incidents(pool)
    assert incident.event_count == 60


async def test_a_floor_that_rises_while_the_model_thinks_holds(pool: Database) -> None:
    trigger = ScriptedTrigger()
    one = bench(pool, trigger)
    await one.take([event("quite harmless")])

    async def before(_: Sighting) -> None:
        await execute(pool, "update patterns set floor = 'critical', rule = 'oom-kill'")

    trigger.before = before
    await one.settle()
    (incident,) = await incidents(pool)
    assert (incident.severity, incident.event_count) == (Severity.CRITICAL, 1)
    ((severity, escalate),) = await execute(pool, "select severity, escalate from verdicts")
    assert (severity, escalate) == ("critical", True)


async def test_a_judge_whose_claim_ran_out_writes_nothing(pool: Database) -> None:
    slow, quick = ScriptedTrigger(), ScriptedTrigger()
    one, two = bench(pool, slow, owner="slow"), bench(pool, quick, owner="quick")
    await one.take([event("bad thing")] * 5)

    async def before(_: Sighting) -> None:
        await execute(pool, "update patterns set judge_until = now() - interval '1 s'")
        await two.settle()

    slow.before = before
    assert await one.judge.judge_some() == 0
    assert (await execute(pool, "select count(*)::int from verdicts"))[0][0] == 1
    assert await counted(pool) == 5


async def test_a_storm_is_one_incident_and_what_is_live_is_joined(pool: Database) -> None:
    trigger = ScriptedTrigger()
    one = bench(pool, trigger, max_new=3)
    for unit in UNITS[:10]:
        await one.take([event("bad thing", unit=unit)] * 2)
    await one.settle()
    found = await incidents(pool)
    assert len(found) == 4
    assert found[-1].correlation == "storm"
    assert found[-1].event_count == 2 * 7
    assert await counted(pool) == 20
    live = found[0]
    await one.take([event("bad thing", unit=live.unit)])
    await one.settle()
    assert (await incidents(pool))[0].event_count == live.event_count + 1


async def test_a_return_within_the_window_reopens_and_later_opens_anew(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing")])
    await one.settle()
    await execute(
        pool, "update incidents set state = 'closed', closed_at = now() - interval '10 min'"
    )
    await one.take([event("bad thing")] * 4)
    await one.settle()
    (incident,) = await incidents(pool)
    assert (incident.state, incident.reopened, incident.event_count) == ("open", 1, 5)
    await execute(
        pool, "update incidents set state = 'closed', closed_at = now() - interval '2 hours'"
    )
    await one.take([event("bad thing")])
    await one.settle()
    assert [i.event_count for i in await incidents(pool)] == [5, 1]


async def test_killed_connections_lose_and_double_nothing(pool: Database) -> None:
    trigger = ScriptedTrigger()
    one = bench(pool, trigger)
    running = asyncio.create_task(one.judge.run())
    chance = random.Random(7)
    sent = 0

    async def killer() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.02, 0.1))
            connection = await pool.connect()
            try:
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where pid <> pg_backend_pid() and datname = current_database() "
                    "and state <> 'idle'"
                )
            finally:
                await connection.close()

    killing = asyncio.create_task(killer())
    for number in range(25):
        size = chance.randint(1, 9)
        await one.take([event("bad thing", unit=UNITS[number % 6])] * size)
        sent += size
        one.judge.wake()
        await asyncio.sleep(0.02)
    killing.cancel()
    await asyncio.wait({killing})
    await asyncio.sleep(0.3)
    running.cancel()
    await asyncio.wait({running})
    # Claims of what was broken off run out; here at once.
    await execute(pool, "update patterns set judge_until = null, judge_owner = null")
    await one.settle()
    assert await counted(pool) == sent
    assert await unattached(pool) == 0
    ((per_pattern,),) = await execute(pool, "select sum(count)::int from incident_patterns")
    assert per_pattern == sent


class Fickle:
    """Verdicts by a written script, so that hypothesis can choose them."""

    def __init__(self, answers: dict[str, bool]) -> None:
        self._inner = ScriptedTrigger()
        self._answers = answers

    async def judge(self, sighting: Sighting) -> Verdict:
        self._inner.severity = Severity.WARNING
        verdict = await self._inner.judge(sighting)
        name = sighting.text.split()[0]
        escalate = self._answers.get(name, False)
        return Verdict(
            fingerprint=verdict.fingerprint,
            escalate=escalate,
            probability=0.5,
            severity=Severity.WARNING if escalate else Severity.INFO,
            category=verdict.category,
            urgency=verdict.urgency,
            usage=verdict.usage,
        )


NAMES = ("alpha", "beta", "gamma")


@given(
    escalated=st.sets(st.sampled_from(NAMES)),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("take"), st.sampled_from(NAMES), st.integers(1, 7)),
            st.tuples(st.just("judge"), st.integers(0, 1), st.just(0)),
            st.tuples(st.just("attach"), st.integers(0, 1), st.just(0)),
            st.tuples(st.just("both"), st.just(0), st.just(0)),
        ),
        max_size=14,
    ),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_occurrence_is_on_one_incident_or_quiet(
    database: str, escalated: set[str], steps: list[tuple[object, ...]]
) -> None:
    """However commits, verdicts and attaching fall between each other."""
    asyncio.run(_interleaved(database, escalated, steps))


async def _interleaved(conninfo: str, escalated: set[str], steps: list[tuple[object, ...]]) -> None:
    pool = Database(conninfo=conninfo, settings=StoreSettings(pool_min=1, pool_max=4))
    await pool.open(wait_seconds=10)
    try:
        await execute(
            pool, "truncate patterns, verdicts, incidents, incident_patterns, evidence cascade"
        )
        trigger = Fickle(dict.fromkeys(escalated, True))
        daemons = [bench(pool, trigger, owner=f"d{n}") for n in range(2)]
        sent = dict.fromkeys(NAMES, 0)
        for kind, what, number in steps:
            match kind:
                case "take":
                    assert isinstance(what, str)
                    assert isinstance(number, int)
                    await daemons[number % 2].take([event(f"{what} came by")] * number)
                    sent[what] += number
                case "judge":
                    assert isinstance(what, int)
                    await daemons[what].judge.judge_some()
                case "attach":
                    assert isinstance(what, int)
                    await daemons[what].judge.attach_some()
                case _:
                    await asyncio.gather(*(each.settle() for each in daemons))
        await daemons[0].settle()
        expected = sum(count for name, count in sent.items() if name in escalated)
        assert await counted(pool) == expected
        assert await unattached(pool) == 0
        ((all_of_them,),) = await execute(pool, "select coalesce(sum(count), 0)::int from patterns")
        assert all_of_them == sum(sent.values())
    finally:
        await pool.close()
