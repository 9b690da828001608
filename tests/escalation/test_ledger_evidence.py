"""Each decision's entry in the ledger names what it rests on."""

from __future__ import annotations

from escalation_kit import (
    ScriptedMeta,
    ScriptedReview,
    ScriptedTrigger,
    assessment,
    bench,
    event,
    execute,
    incidents,
    plan,
    worker,
)

from daemon.ledger import Entry
from daemon.store import ledger
from daemon.store.pool import Database
from tiers.contracts import Disposition
from tiers.vocabulary import Severity


async def entries(pool: Database, kind: str, happening: str | None = None) -> list[Entry]:
    async with pool.connection() as connection:
        found = await ledger.read(connection, kinds=[kind])
    return [e for e in found if happening is None or e.content["happening"] == happening]


async def test_from_verdict_to_plan_every_entry_names_its_evidence(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing"), event("all is well")])
    await one.settle()
    stored = await execute(pool, "select fingerprint, array_agg(id) from events group by 1")

    verdicts = await entries(pool, "verdict")
    assert {e.content["fingerprint"]: e.content["events"] for e in verdicts} == dict(stored)
    (opened,) = await entries(pool, "transition", "opened")
    (escalated,) = (e for e in verdicts if e.content["escalate"])
    assert opened.content["fingerprints"] == [escalated.content["fingerprint"]]

    review = ScriptedReview(assessment(disposition=Disposition.ESCALATE, severity=Severity.WARNING))
    working = worker(pool, review=review, meta=ScriptedMeta(plan()))
    while await working.work_once():
        pass
    (assessed,) = await entries(pool, "assessment")
    (planned,) = await entries(pool, "plan")
    refs = await execute(
        pool, "select ref from evidence where incident_id = %s", opened.incident_id
    )
    for entry in (assessed, planned):
        assert entry.incident_id == opened.incident_id
        assert {(ref,) for ref in entry.content["evidence"]} <= set(refs)
        asked = zip(entry.content["actions"], entry.content["actions_evidence"], strict=True)
        assert all(isinstance(evidence, list) for _, evidence in asked)
    said = {
        e.actor: e.content["evidence"]
        for e in await entries(pool, "transition")
        if e.actor.startswith("tier/")
    }
    assert said == {
        "tier/review": assessed.content["evidence"],
        "tier/meta": planned.content["evidence"],
    }
    assert said["tier/review"] == ["E1"]
    assert (await ledger.verify(pool)).holds


async def test_an_incident_that_returns_or_grows_worse_names_the_pattern(pool: Database) -> None:
    trigger = ScriptedTrigger()
    one = bench(pool, trigger)
    await one.take([event("bad thing")])
    await one.settle()
    await execute(pool, "update incidents set state = 'watching'")
    trigger.severity = Severity.CRITICAL
    await one.take([event("another bad thing")])
    await one.settle()
    (worse,) = await entries(pool, "transition", "worsened")
    newest = await execute(pool, "select fingerprint from patterns where sample like 'another%%'")
    assert [(each,) for each in worse.content["fingerprints"]] == newest

    await execute(pool, "update incidents set state = 'closed', closed_at = now()")
    await one.take([event("bad thing")])
    await one.settle()
    (back,) = await entries(pool, "transition", "returned")
    assert len(back.content["fingerprints"]) == 1
    assert back.incident_id in {incident.id for incident in await incidents(pool)}


async def test_a_pattern_without_stored_events_has_a_verdict_all_the_same(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing")])
    await execute(pool, "delete from events")
    await one.settle()
    (verdict,) = await entries(pool, "verdict")
    assert verdict.content["events"] == []


async def test_a_verdict_names_a_handful_of_many_events(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing")])
    await execute(
        pool,
        "insert into events (observed_at, occurred_at, source, source_kind, unit, provenance,"
        " fingerprint, text) select now() - n * interval '1 h', now(), source, source_kind, unit,"
        " provenance, fingerprint, text from events, generate_series(1, 40) n",
    )
    await one.settle()
    (verdict,) = await entries(pool, "verdict")
    newest = await execute(pool, "select id from events order by observed_at desc limit 5")
    assert [(each,) for each in verdict.content["events"]] == newest
