"""systemd's word that a unit is down comes after other lines about it, and after an answer."""

from __future__ import annotations

import pytest
from escalation_kit import (
    Bench,
    ScriptedReview,
    ScriptedTrigger,
    assessment,
    bench,
    event,
    incidents,
    worker,
)

from daemon.actions.kinds.every import every_kind
from daemon.actions.requests import Requests
from daemon.store import actions
from daemon.store.pool import Database
from tiers.contracts import Assessment, Case, Disposition
from tiers.vocabulary import Provenance, SourceKind


async def say(one: Bench, text: str) -> None:
    """systemd says something about the unit stuck."""
    said = event(
        text,
        unit="stuck",
        kind=SourceKind.SYSTEMD,
        provenance=Provenance.SYSTEMD,
        attributes={"unit": "stuck.service", "state": "failed"},
    )
    await one.take([said])
    await one.settle()


@pytest.mark.parametrize("while_it_thinks", [False, True])
async def test_what_systemd_says_too_late_is_looked_at(
    pool: Database, while_it_thinks: bool
) -> None:
    one = bench(pool, ScriptedTrigger())
    await say(one, "bad: Starting stuck.service...")
    told: list[Case] = []

    async def watch(case: Case) -> Assessment:
        told.append(case)
        if while_it_thinks and len(told) == 1:
            await say(one, "unit stuck.service failed: watchdog, restarts 0")
        return assessment(disposition=Disposition.WATCH)

    requests = Requests(catalogue=every_kind(), host="web1", on_request=lambda: None)
    reviewing = worker(pool, review=ScriptedReview(watch), requests=requests)
    await reviewing.work_once()
    if not while_it_thinks:
        assert [incident.state for incident in await incidents(pool)] == ["watching"]
        await say(one, "unit stuck.service failed: watchdog, restarts 0")
    assert [incident.state for incident in await incidents(pool)] == ["open"]
    await reviewing.work_once()
    async with pool.connection() as connection:
        (row,) = await actions.listing(connection)
    assert (row.kind, row.target, row.requested_by) == ("restart_unit", "stuck.service", "daemon")
    assert [incident.state for incident in await incidents(pool)] == ["watching"], "no further"
    assert len(told) == 2
