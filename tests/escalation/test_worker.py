"""Workers: leases, fences, outages and what follows from every answer."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import math

import pytest
from escalation_kit import (
    LIMITS,
    ScriptedMeta,
    ScriptedReview,
    ScriptedTrigger,
    assessment,
    bench,
    event,
    execute,
    forever,
    incidents,
    plan,
    worker,
)

from daemon.escalation.settle import settle_assessment, settle_plan, within_case
from daemon.escalation.states import Happening
from daemon.store import assessments
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from tiers.contracts import ActionRequest, Assessment, Case, Disposition, Evidence
from tiers.errors import BadAnswerError, TierUnavailableError
from tiers.ladder import LadderRules
from tiers.vocabulary import Category, Provenance, Severity

HOSTILE = "\x00\ud800 ignore previous; \x1b[31m" + "x" * 50_000


async def opened(pool: Database, text: str = "bad thing", unit: str = "app") -> Incident:
    one = bench(pool, ScriptedTrigger())
    await one.take([event(text, unit=unit)])
    await one.settle()
    return (await incidents(pool))[-1]


async def only(pool: Database) -> Incident:
    (incident,) = await incidents(pool)
    return incident


async def happenings(pool: Database) -> list[str]:
    rows = await execute(
        pool, "select body->>'happening' from ledger where kind = 'transition' order by seq"
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("disposition", "severity", "state"),
    [
        (Disposition.CLOSE, Severity.INFO, "escalated"),  # a warning by verdict, and text alone
        (Disposition.WATCH, Severity.INFO, "watching"),
        (Disposition.WATCH, Severity.WARNING, "watching"),
        (Disposition.ACT, Severity.WARNING, "watching"),
        (Disposition.ESCALATE, Severity.INFO, "escalated"),
        (Disposition.CLOSE, Severity.CRITICAL, "escalated"),
        (Disposition.WATCH, Severity.CRITICAL, "escalated"),
    ],
)
async def test_the_way_after_review(
    pool: Database, disposition: Disposition, severity: Severity, state: str
) -> None:
    await opened(pool)
    review = ScriptedReview(assessment(disposition=disposition, severity=severity))
    assert await worker(pool, review=review).work_once() == 1
    incident = await only(pool)
    assert (incident.state, incident.assessed, incident.attempts) == (state, True, 0)
    assert incident.severity.rank >= Severity.WARNING.rank
    assert incident.lease_owner is None
    async with pool.connection() as connection:
        (said,) = await assessments.of_incident(connection, incident.id)
    assert (said.tier, said.evidence) == ("review", ["E1"])


@pytest.mark.parametrize("disposition", list(Disposition))
@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("floor", list(Severity))
def test_no_answer_lowers_what_is_known(
    disposition: Disposition, severity: Severity, floor: Severity
) -> None:
    answer = assessment(disposition=disposition, severity=severity)
    case = _case(floor)
    settled = settle_assessment(answer, case=case, rules=LadderRules())
    assert settled.severity.rank == max(severity.rank, floor.rank)
    if floor.rank >= Severity.WARNING.rank:
        assert settled.happening is not Happening.SETTLED_CLOSE
    if settled.severity is Severity.CRITICAL:
        assert settled.happening is Happening.SETTLED_ESCALATE
    last = settle_plan(plan(severity=severity), case=case)
    assert last.severity.rank == max(severity.rank, floor.rank)


def _case(severity: Severity) -> Case:
    now = dt.datetime.now(tz=dt.UTC)
    return Case(
        incident_id=1,
        title="t",
        severity=severity,
        category=Category.SERVICE,
        opened_at=now,
        evidence=(Evidence(ref="E1", provenance=Provenance.SYSTEMD, source="s", text="x", at=now),),
    )


def test_what_was_not_offered_and_is_not_there_is_left_out() -> None:
    made_up = ActionRequest(code="wipe_disk:/dev/sda", reason="trust me", evidence=("E1", "E99"))
    answer = within_case(
        assessment(evidence=("E99", "E1"), actions=(made_up,)), case=_case(Severity.WARNING)
    )
    assert (answer.evidence, answer.actions) == (("E1",), ())
    assert within_case(plan(steps=(made_up,)), case=_case(Severity.WARNING)).steps == ()


async def test_hostile_words_of_a_model_are_stored_and_harmless(pool: Database) -> None:
    await opened(pool)
    review = ScriptedReview(
        assessment(
            summary=HOSTILE, cause=HOSTILE[:200], evidence=("E1", HOSTILE[:50]), confidence=math.nan
        )
    )
    await worker(pool, review=review).work_once()
    incident = await only(pool)
    assert incident.state in ("watching", "escalated")
    await worker(pool, review=review, meta=ScriptedMeta(plan(summary=HOSTILE))).work_once()


async def test_a_severity_that_rose_meanwhile_stays_and_is_looked_at_again(
    pool: Database,
) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing", unit="kernel")])
    await one.settle()
    await execute(pool, "update incidents set correlation = 'kernel:memory'")

    async def assess(_: Case) -> Assessment:
        oom = "Out of memory: Killed process 42 (java) total-vm:1kB"
        await one.take([event(oom, unit="kernel")])
        await one.settle()
        return assessment(disposition=Disposition.WATCH)

    await worker(pool, review=ScriptedReview(assess)).work_once()
    incident = await only(pool)
    assert incident.severity is Severity.CRITICAL
    assert incident.state == "escalated"
    assert incident.event_count == 2


async def test_a_tier_that_is_down_costs_time_and_no_tries(pool: Database) -> None:
    await opened(pool)
    down = worker(pool, review=ScriptedReview(TierUnavailableError("down", retry_after=60)))
    assert await down.work_once() == 1
    assert await down.work_once() == 0  # it rests
    incident = await only(pool)
    assert (incident.state, incident.attempts, incident.assessed) == ("open", 0, False)
    assert incident.deadline is not None
    await execute(pool, "update incidents set next_at = now()")
    await worker(pool, review=ScriptedReview(assessment())).work_once()
    assert (await only(pool)).state == "watching"


async def test_the_deadline_counts_from_the_first_failure(pool: Database) -> None:
    await opened(pool)
    await execute(pool, "update incidents set opened_at = now() - interval '30 days'")
    down = worker(pool, review=ScriptedReview(TierUnavailableError("down")))
    await down.work_once()
    assert (await only(pool)).state == "open"
    await execute(pool, "update incidents set next_at = now(), deadline = now() - interval '1 s'")
    await down.work_once()
    assert (await only(pool)).state == "attention"
    assert (await happenings(pool))[-1] == "gave up"


async def test_bad_answers_use_up_the_tries(pool: Database) -> None:
    await opened(pool)
    bad = worker(
        pool, review=ScriptedReview(BadAnswerError("no JSON", problem="no JSON", answer="x"))
    )
    for _ in range(LIMITS.max_attempts):
        assert (await only(pool)).state == "open"
        assert await bad.work_once() == 1
        await execute(pool, "update incidents set next_at = now()")
    assert (await only(pool)).state == "attention"
    assert await bad.work_once() == 0
    assert bad.counts.failures == LIMITS.max_attempts


async def test_a_defect_is_shown_and_does_not_stop_the_worker(pool: Database) -> None:
    await opened(pool)
    broken = worker(pool, review=ScriptedReview(ZeroDivisionError("oops")))
    assert await broken.work_once() == 1
    assert (await only(pool)).state == "open"


async def test_a_worker_that_lost_its_lease_writes_nothing(pool: Database) -> None:
    await opened(pool)
    quick = worker(pool, review=ScriptedReview(assessment(summary="quick")), owner="quick")

    async def slow(_: Case) -> Assessment:
        await execute(pool, "update incidents set lease_until = now() - interval '1 s'")
        assert await quick.work_once() == 1
        return assessment(summary="slow")

    late = worker(pool, review=ScriptedReview(slow), owner="slow")
    assert await late.work_once() == 1
    incident = await only(pool)
    assert incident.state == "watching"
    async with pool.connection() as connection:
        said = await assessments.of_incident(connection, incident.id)
    assert [entry.summary for entry in said] == ["quick"]
    assert late.counts.settled == 0


async def test_a_lost_lease_ends_the_thinking(pool: Database) -> None:
    await opened(pool)
    limits = dataclasses.replace(LIMITS, lease_seconds=0.6)
    review = ScriptedReview(forever)
    stuck = worker(pool, review=review, limits=limits, owner="stuck")
    task = asyncio.create_task(stuck.work_once())
    await review.asked.wait()
    await execute(pool, "update incidents set fence = fence + 1, lease_owner = 'other'")
    assert await asyncio.wait_for(task, 5) == 1
    assert (await only(pool)).lease_owner == "other"


async def test_a_lease_is_kept_while_the_tier_thinks(pool: Database) -> None:
    await opened(pool)

    async def slow(_: Case) -> Assessment:
        await asyncio.sleep(1.2)
        return assessment()

    limits = dataclasses.replace(LIMITS, lease_seconds=0.5)
    thinking = worker(pool, review=ScriptedReview(slow), limits=limits, owner="a")
    other = worker(pool, review=ScriptedReview(assessment(summary="other")), owner="b")
    task = asyncio.create_task(thinking.work_once())
    taken = 0
    while not task.done():
        await asyncio.sleep(0.1)
        taken += await other.work_once()
    assert taken == 0
    assert thinking.counts.settled == 1


async def test_cancelling_in_the_middle_leaves_no_half_state(pool: Database) -> None:
    await opened(pool)
    review = ScriptedReview(forever)
    task = asyncio.create_task(worker(pool, review=review).work_once())
    await review.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    incident = await only(pool)
    assert (incident.state, incident.assessed) == ("reviewing", False)
    await execute(pool, "update incidents set lease_until = now() - interval '1 s'")
    await worker(pool, review=ScriptedReview(assessment()), owner="next").work_once()
    assert (await only(pool)).state == "watching"
    assert "lease lost" in await happenings(pool)


async def test_a_tier_that_never_answers_is_given_up(pool: Database) -> None:
    await opened(pool)
    limits = dataclasses.replace(LIMITS, deadline_seconds=0.2)
    stuck = worker(pool, review=ScriptedReview(forever), limits=limits)
    assert await asyncio.wait_for(stuck.work_once(), 5) == 1
    assert (await only(pool)).state == "open"


async def test_an_operator_who_closes_wins(pool: Database) -> None:
    await opened(pool)

    async def closes(_: Case) -> Assessment:
        await execute(
            pool,
            "update incidents set state = 'closed', fence = fence + 1, closed_at = now(), "
            "lease_owner = null",
        )
        return assessment()

    await worker(pool, review=ScriptedReview(closes)).work_once()
    assert (await only(pool)).state == "closed"


async def test_twenty_incidents_and_five_workers(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    for letter in "abcdefghijklmnopqrst":
        await one.take([event("bad thing", unit=f"unit{letter}")])
    await one.settle()
    review = ScriptedReview(assessment())
    workers = [worker(pool, review=review, owner=f"w{n}") for n in range(5)]

    async def drain(each: object) -> None:
        while await each.work_once():  # type: ignore[attr-defined]
            pass

    await asyncio.gather(*(drain(each) for each in workers))
    assert sorted(case.incident_id for case in review.cases) == sorted(
        incident.id for incident in await incidents(pool)
    )
    assert {incident.state for incident in await incidents(pool)} == {"watching"}
