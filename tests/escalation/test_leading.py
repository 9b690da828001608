"""Who attacks now: what is offered, shown and looked at again when attackers change."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

import pytest
from escalation_kit import (
    Bench,
    ScriptedReview,
    ScriptedTrigger,
    assessment,
    bench,
    event,
    execute,
    incidents,
    worker,
)

from daemon.escalation.casebook import Actable, Casebook, CaseFile, counts_of
from daemon.escalation.leading import (
    added,
    larger,
    leading_now,
    leading_values,
    left_of,
    may_ask_again,
    new_leader,
    newcomer,
)
from daemon.memory.none import NoRecall
from daemon.store import incident_queries
from daemon.store.incident_queries import EvidenceRow, IncidentPattern
from daemon.store.incidents import Incident, Recent
from daemon.store.pool import Database
from tiers.contracts import Case, Disposition, Sighting, Verdict
from tiers.vocabulary import Category, Severity

NOW = dt.datetime.now(tz=dt.UTC)
WATCH = assessment(disposition=Disposition.WATCH)


class AuthTrigger(ScriptedTrigger):
    """Takes every failed login for worth a look."""

    async def judge(self, sighting: Sighting) -> Verdict:
        verdict = await super().judge(sighting)
        if "Failed password" not in sighting.text:
            return verdict
        severity = Severity.WARNING.at_least(sighting.floor)
        return dataclasses.replace(
            verdict, escalate=True, severity=severity, category=Category.AUTH
        )


async def attack(one: Bench, address: str, *, count: int = 30, user: str = "root") -> None:
    """In small batches, as a log is followed, from a new port each time."""
    for start in range(0, count, 7):
        await one.take(
            [
                event(
                    f"Failed password for {user} from {address} port {40_000 + n} ssh2",
                    unit="sshd",
                )
                for n in range(start, min(start + 7, count))
            ]
        )
        await one.settle()


async def only(pool: Database) -> Incident:
    (incident,) = await incidents(pool)
    return incident


async def file_of(pool: Database) -> CaseFile:
    async def none() -> tuple[tuple[str, str], ...]:
        return ()

    book = Casebook(
        database=pool, recall=NoRecall(), facts=none, similar=0, actable=Actable(host="web1")
    )
    return await book.open(await only(pool))


async def shown(pool: Database) -> tuple[list[IncidentPattern], list[EvidenceRow]]:
    incident = await only(pool)
    async with pool.connection() as connection:
        return (
            await incident_queries.patterns_of(connection, incident.id),
            await incident_queries.evidence_of(connection, incident.id),
        )


async def close(pool: Database) -> None:
    await execute(
        pool, "update incidents set state = 'closed', closed_at = now(), close_reason = 'gone'"
    )


async def answer(pool: Database) -> ScriptedReview:
    review = ScriptedReview(WATCH)
    assert await worker(pool, review=review).work_once() == 1
    return review


def blocked(file: CaseFile) -> list[str]:
    return [o.choice.target for o in file.offers.values() if o.choice.action == "block_address"]


async def test_who_brings_an_incident_back_is_offered_and_not_who_began_it(
    pool: Database,
) -> None:
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.23")
    await answer(pool)
    await close(pool)
    await attack(one, "198.51.100.140")
    incident = await only(pool)
    assert (incident.state, incident.reopened) == ("open", 1)
    assert "198.51.100.140" in incident.title
    file = await file_of(pool)
    assert blocked(file) == ["198.51.100.140"]
    assert file.offers["block_address:198.51.100.140"].evidence == ("E2",)
    assert "198.51.100.140" in file.case.evidence[0].text
    assert [e.count for e in file.case.evidence] == [30, 30]
    assert ("most frequent ip", "198.51.100.140 (30)") in file.case.facts


async def test_leading_values_are_never_more_than_there_is(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.99")
    await answer(pool)
    await attack(one, "198.51.100.100")
    assert (await only(pool)).event_count == 60
    patterns, _ = await shown(pool)
    assert leading_values(patterns) == (
        ("user", "root", 60),
        ("ip", "198.51.100.100", 30),
        ("ip", "198.51.100.99", 30),
    )


async def test_a_new_leading_host_has_an_open_incident_assessed_again(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.99")
    await answer(pool)
    assert (await only(pool)).state == "watching"
    await attack(one, "198.51.100.100")
    incident = await only(pool)
    assert (incident.state, incident.reopened) == ("open", 0)
    assert "198.51.100.100" in incident.title
    review = await answer(pool)
    codes = {choice.code for choice in review.cases[0].actions}
    assert "block_address:198.51.100.100" in codes
    assert "block_address:198.51.100.99" not in codes
    _, evidence = await shown(pool)
    assert any("198.51.100.100 " in row.text for row in evidence)


async def test_who_goes_on_or_fails_a_few_times_is_no_news(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.99")
    await answer(pool)
    await attack(one, "198.51.100.99")
    await attack(one, "198.51.100.5", count=3)
    assert (await only(pool)).state == "watching"


async def test_hosts_that_take_turns_are_not_asked_about_without_end(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    review = ScriptedReview(WATCH)
    for n in range(6):
        await attack(one, f"198.51.100.{100 + n}", count=20)
        await worker(pool, review=review).work_once()
    assert len(review.cases) == 2
    await execute(pool, "update assessments set at = at - interval '10 minutes'")
    await attack(one, "198.51.100.200", count=200)
    assert (await only(pool)).state == "open"


async def test_who_comes_while_a_tier_thinks_is_looked_at_too(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.99")

    async def assess(_: Case) -> object:
        await attack(one, "198.51.100.100", count=40)
        return WATCH

    assert await worker(pool, review=ScriptedReview(assess)).work_once() == 1
    assert (await only(pool)).state == "open"
    assert blocked(await file_of(pool)) == ["198.51.100.100"]


async def test_after_an_answer_the_same_hosts_are_offered_still(pool: Database) -> None:
    """Another tier that looks at what was settled must find what it was about."""
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.99")
    await answer(pool)
    assert blocked(await file_of(pool)) == ["198.51.100.99"]


async def test_an_attacker_is_seen_behind_many_larger_ones_of_the_past(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    for n in range(1, 15):
        await attack(one, f"203.0.113.{n}", count=60)
    await answer(pool)
    await close(pool)
    await attack(one, "198.51.100.7", count=20)
    assert blocked(await file_of(pool)) == ["198.51.100.7"]


async def test_evidence_is_of_its_own_window(pool: Database) -> None:
    """Not the pattern's first line ever, which anybody may have chosen the words of."""
    one = bench(pool, AuthTrigger())
    await attack(one, "198.51.100.7", count=1, user="invalid user IGNORE-ALL")
    await answer(pool)
    await execute(pool, "update incidents set state = 'closed', closed_at = '2020-01-01'")
    await attack(one, "198.51.100.8", user="invalid user admin")
    old, new = await incidents(pool)
    async with pool.connection() as connection:
        evidence = await incident_queries.evidence_of(connection, new.id)
    assert old.id != new.id
    assert evidence
    assert all("IGNORE" not in row.text and "198.51.100.8 " in row.text for row in evidence)
    assert "IGNORE" not in new.title


async def test_what_comes_back_by_another_program_is_called_by_that(pool: Database) -> None:
    one = bench(pool, AuthTrigger())
    words = "Out of memory: Killed process {} ({}) total-vm:4194304kB, anon-rss:8kB, UID:0"
    await one.take([event(words.format(4242, "postgres"), unit="kernel")])
    await one.settle()
    await execute(
        pool, "update incidents set state = 'closed', closed_at = now(), close_reason = 'gone'"
    )
    await one.take([event(words.format(77, "java"), unit="kernel")])
    await one.settle()
    incident = await only(pool)
    assert (incident.state, incident.reopened) == ("open", 1)
    assert "java" in incident.title
    assert "postgres" not in incident.title
    first, *_ = (await file_of(pool)).case.evidence
    assert "java" in first.text


def pattern(
    fingerprint: str = "p", *, top: Sequence[list[str | int]] = (), count: int = 0, **more: object
) -> IncidentPattern:
    values: dict[str, object] = {
        "pattern": "x",
        "unit": "sshd",
        "sample": "x",
        "provenance": "text",
        "source_kind": "file",
        "usual_gap": None,
        "last_seen": NOW,
        "first_at": NOW,
        "last_at": NOW,
    }
    return IncidentPattern(
        **{**values, "fingerprint": fingerprint, "top_values": [*top], "count": count, **more}  # type: ignore[arg-type]
    )


def test_no_occurrence_names_anything_twice() -> None:
    assert added([["ip", "a", 5]], [["ip", "a", 2], ["ip", "a", 9]], most=4) == (("ip", "a", 9),)
    assert added((), [["ip", str(n), n + 1] for n in range(900)], most=3)[0][2] == 3
    assert len(added((), [["ip", str(n), 1] for n in range(900)], most=3)) == 20


def test_of_two_counts_the_larger_stands() -> None:
    batches: list[list[str | int]] = [["ip", "a", 5], ["ip", "a", 4], ["ip", "b", 7]]
    assert larger(batches, [["ip", "a", 8], ["ip", "b", 90]]) == (("ip", "b", 90), ("ip", "a", 9))


def test_who_leads_now_comes_before_who_led() -> None:
    both = pattern(top=[["ip", "a", 90]], answered_values=[["ip", "b", 5]])
    assert leading_now([both]) == (("ip", "b", 5),)
    now = pattern(top=[["ip", "a", 90]], recent_values=[["port", "1", 99], ["ip", "c", 1]])
    assert leading_now([now]) == (("ip", "c", 1),)
    assert leading_now([pattern(top=[["ip", "a", 90]])]) == (("ip", "a", 90),)


@pytest.mark.parametrize(
    ("recent", "answered", "leader"),
    [
        ([["ip", "a", 10]], [], "a"),
        ([["ip", "a", 9]], [], None),
        ([["user", "a", 99]], [], None),
        ([["ip", "a", 30]], [["ip", "a", 1]], None),
        ([["ip", "a", 30], ["ip", "b", 99]], [["ip", "a", 1]], "b"),
        ([["ip", "a", 30]], [["ip", str(n), 50] for n in range(3)] + [["ip", "a", 1]], "a"),
    ],
)
def test_who_is_new(
    recent: list[list[str | int]], answered: list[list[str | int]], leader: str | None
) -> None:
    assert new_leader([pattern(recent_values=recent, answered_values=answered)]) == leader


def test_what_came_meanwhile() -> None:
    now = (Recent(fingerprint="p", count=50, values=(("ip", "a", 30), ("ip", "b", 20))),)
    seen = (Recent(fingerprint="p", count=30, values=(("ip", "a", 30),)),)
    left = left_of(now, seen)
    assert left == (Recent(fingerprint="p", count=20, values=(("ip", "b", 20),)),)
    assert newcomer(left, answered=(("ip", "a", 30),)) == "b"
    assert newcomer(left, answered=(("ip", "b", 1),)) is None
    assert left_of(now, now)[0].values == ()


def test_answers_are_few_in_a_time() -> None:
    minutes = [NOW - dt.timedelta(minutes=n) for n in (1, 4, 30)]
    assert not may_ask_again(minutes, now=NOW)
    assert may_ask_again(minutes[1:], now=NOW)


def test_pieces_of_one_pattern_share_its_count() -> None:
    def piece(ref: str, count: int) -> EvidenceRow:
        return EvidenceRow(
            ref=ref,
            provenance="text",
            source="s",
            text="t",
            at=NOW,
            count=count,
            fingerprint="p",
        )

    counts = counts_of([piece("E1", 30), piece("E2", 1)], [pattern(count=75)])
    assert counts == {"E1": 30, "E2": 45}
