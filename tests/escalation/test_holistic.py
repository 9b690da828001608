"""The review of the whole: bounded, honest about a tier that is away, one incident a cause."""

from __future__ import annotations

from typing import Any

import pytest
from escalation_kit import (
    ScriptedReview,
    ScriptedTrigger,
    assessment,
    bench,
    event,
    execute,
    incidents,
    no_facts,
)

from daemon.escalation.holistic import BurstReview, HolisticReview
from daemon.live import LiveHub
from daemon.store.pool import Database
from tiers.causes import all_causes
from tiers.contracts import Disposition
from tiers.errors import TierUnavailableError
from tiers.vocabulary import Severity

TROUBLE = {"disposition": Disposition.ESCALATE, "cause": all_causes()[1].code}


def holistic(pool: Database, review: ScriptedReview) -> HolisticReview:
    return HolisticReview(database=pool, review=review, facts=no_facts, live=LiveHub())


async def quiet_patterns(pool: Database, *units: str) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("a slow change", unit=unit) for unit in units])
    await one.settle()


def finding(**changes: Any) -> ScriptedReview:
    return ScriptedReview(assessment(**{**TROUBLE, **changes}))


async def test_nothing_new_costs_no_call(pool: Database) -> None:
    review = finding()
    found = await holistic(pool, review).run_now(trigger="operator")
    assert (found.summary, review.cases) == ("Nothing new since the last review.", [])


async def test_a_tier_that_is_away_is_said_and_the_next_review_covers_it(pool: Database) -> None:
    await quiet_patterns(pool, "app")
    away = holistic(pool, ScriptedReview(TierUnavailableError("it is down")))
    first = await away.run_now(trigger="schedule")
    assert first.error == "it is down"
    broken = holistic(pool, ScriptedReview(ZeroDivisionError("oops")))
    assert "made a mistake" in ((await broken.run_now(trigger="burst")).error or "")
    review = finding(disposition=Disposition.WATCH)
    again = await holistic(pool, review).run_now(trigger="schedule")
    assert again.looked_at["patterns"] == 1
    rows = await execute(pool, "select error is null, finished_at is null from reviews order by id")
    assert rows == [(False, False), (False, False), (True, False)]


async def test_one_incident_for_each_cause(pool: Database) -> None:
    await quiet_patterns(pool, "app")
    review = holistic(pool, finding())
    for _ in range(3):
        await execute(pool, "update patterns set last_seen = now()")
        await review.run_now(trigger="schedule")
    (incident,) = await incidents(pool)
    assert (incident.correlation, incident.holistic) == (f"holistic:{TROUBLE['cause']}", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": ("E77",)},
        {"evidence": ()},
        {"cause": "insufficient_evidence"},
        {"cause": "aliens\x00"},
        {"severity": Severity.NOTICE},
        {"disposition": Disposition.CLOSE},
    ],
)
async def test_what_rests_on_nothing_opens_nothing(pool: Database, changes: dict[str, Any]) -> None:
    await quiet_patterns(pool, "app")
    found = await holistic(pool, finding(**changes)).run_now(trigger="operator")
    assert found.error is None
    assert await incidents(pool) == []


async def test_what_an_incident_has_already_opens_no_other(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing")])
    await one.settle()
    found = await holistic(pool, finding()).run_now(trigger="operator")  # E1 is the incident
    assert len(await incidents(pool)) == 1
    assert len(found.incidents) == 1


async def test_hostile_words_in_a_title(pool: Database) -> None:
    await quiet_patterns(pool, "app")
    await holistic(pool, finding(summary="\x00\x1b[2J\nowned " * 50)).run_now(trigger="operator")
    (incident,) = await incidents(pool)
    assert incident.title.isprintable()
    assert len(incident.title) <= 140


async def test_a_case_stays_small_however_much_there_is(pool: Database) -> None:
    units = [f"unit{first}{second}" for first in "abcdefgh" for second in "abcdefgh"]
    await quiet_patterns(pool, *units)
    review = finding(disposition=Disposition.WATCH)
    await holistic(pool, review).run_now(trigger="operator")
    (case,) = review.cases
    assert len(case.evidence) <= 25


async def test_many_new_incidents_are_a_burst(pool: Database) -> None:
    review = holistic(pool, finding())
    burst = BurstReview(database=pool, review=review, threshold=3)
    one = bench(pool, ScriptedTrigger())
    for number, unit in enumerate(("unita", "unitb", "unitc")):
        assert await burst._burst() is False, number
        await one.take([event("bad thing", unit=unit)])
        await one.settle()
    assert await burst._burst() is True
    await execute(pool, "update incidents set opened_at = now() - interval '11 min'")
    assert await burst._burst() is False
