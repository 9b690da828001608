"""What a model is unsure about is gathered in one incident, or joins the one of its program."""

from __future__ import annotations

from escalation_kit import ScriptedTrigger, bench, event, incidents

from daemon.intake.correlate import UNSURE_KEY
from daemon.store.pool import Database
from tiers.vocabulary import Provenance, Severity

OOM = "Out of memory: Killed process 4242 (postgres) total-vm:8123456kB"


async def test_unsure_patterns_share_one_incident_and_keep_their_counts(pool: Database) -> None:
    trigger = ScriptedTrigger()
    trigger.severity = Severity.CRITICAL
    one = bench(pool, trigger, sure_from=0.95)
    await one.take([event(f"bad thing of {unit}", unit=unit) for unit in ("a", "b", "c")] * 2)
    await one.settle()
    (incident,) = await incidents(pool)
    assert incident.correlation == UNSURE_KEY
    assert incident.event_count == 6
    assert incident.severity is Severity.WARNING
    await one.take([event("bad thing of a", unit="a")])
    await one.settle()
    (incident,) = await incidents(pool)
    assert incident.event_count == 7


async def test_what_a_rule_or_a_measurement_says_has_its_own_incident(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger(), sure_from=1.0)
    measured = event(
        "disk /var 97% full",
        unit="disk",
        provenance=Provenance.MEASURED,
        attributes={"metric": "disk", "target": "/var", "level": "critical"},
    )
    await one.take([event(OOM, unit="kernel"), measured])
    await one.settle()
    keys = {incident.correlation for incident in await incidents(pool)}
    assert keys == {"kernel:memory", "measured:disk:/var"}


async def test_an_unsure_pattern_joins_the_live_incident_of_its_program(pool: Database) -> None:
    sure = bench(pool, ScriptedTrigger(), sure_from=0.0)
    await sure.take([event("bad start", unit="web")])
    await sure.settle()
    unsure = bench(pool, ScriptedTrigger(), sure_from=0.95)
    await unsure.take([event("another bad thing", unit="web")])
    await unsure.settle()
    (incident,) = await incidents(pool)
    assert (incident.correlation, incident.event_count) == ("web", 2)
