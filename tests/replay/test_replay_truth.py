"""Replayed under the policy that was in force, history comes out as it was."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from actions_kit import Lamp, Rig, rig

from daemon.actions.policy.facts import Origin
from daemon.actions.replay import replay
from daemon.actions.settings import ActionsSettings
from daemon.cli.replay import recorded
from daemon.store.pool import Database
from tiers.vocabulary import Provenance

LAMPS = ("hall", "attic", "stairs", "cellar")
POLICIES: tuple[dict[str, Any], ...] = (
    {"autonomy": "observe"},
    {"autonomy": "suggest", "limits": {"waiting": 4}},
    {"autonomy": "auto-safe", "targets": ["hall", "attic"], "limits": {"per_hour": 4}},
    {"autonomy": "auto-full", "limits": {"per_target_per_hour": 3, "strikes": 3}},
    {"autonomy": "auto-full", "deny": ["darken:*a*"], "ask": ["restart_unit"]},
)


async def lived(lamps: Rig, rng: random.Random, *, requests: int) -> None:
    """Requests of all sorts, carried out as they come; people answer some of them."""
    for _ in range(requests):
        lamps.lamp.broken = rng.random() < 0.4
        row = await lamps.ask(
            kind=rng.choice(("light", "darken", "restart_unit")),
            target=rng.choice(LAMPS),
            basis=rng.choice((Provenance.SYSTEMD, Provenance.MEASURED, Provenance.TEXT)),
            origin=rng.choice((Origin.TIER, Origin.TIER, Origin.CHAT, Origin.OPERATOR)),
        )
        if row.state == "proposed" and rng.random() < 0.6:
            approve = rng.random() < 0.6
            await lamps.desk.answer(code=row.code or "", approve=approve, by="anna", where="cli")
        while await lamps.executor.work_once():
            pass
        await lamps.desk.tick()


@pytest.mark.parametrize("number", range(len(POLICIES)))
async def test_nothing_is_decided_otherwise(pool: Database, number: int) -> None:
    written = {**POLICIES[number], "steady_seconds": 1, "lease_seconds": 5}
    settings = ActionsSettings.model_validate(written)
    lamps = rig(pool, lamp=Lamp(present=set(LAMPS)), **written)
    await lived(lamps, random.Random(number), requests=30)
    asked = await recorded(
        pool, since=datetime(2020, 1, 1, tzinfo=UTC), settings=settings, host="web1"
    )
    assert len(asked) >= 10
    otherwise = [
        (each.asked.key, each.asked.kind, each.asked.target, each.asked.rule, each.now.rule)
        for each in replay(asked, settings)
        if (each.asked.verdict, each.asked.rule) != (each.now.verdict, each.now.rule)
    ]
    assert otherwise == []
