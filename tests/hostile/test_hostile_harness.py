"""Would the counts see a breach? Each of these breaks the daemon in one place, and they do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hostile_attack import GROUP, _break_one, attack
from hostile_counts import tally_of
from hostile_payloads import payloads
from hostile_rig import hostile_rig
from surface_kit import API, bearer

import api.openai.chat
import daemon.escalation.judge
import daemon.escalation.settle
import tiers.trigger
from api.openai.approvals import Answer
from daemon.actions.policy.facts import Autonomy
from daemon.actions.weigh import Weighed, Weigher
from daemon.store.pool import Database
from tiers.ladder import Next, Reason, Step
from tiers.vocabulary import Provenance

MADE = payloads(1_000)


class Credulous(Weigher):
    """Takes whatever is said for systemd's word."""

    async def weigh(self, *args: Any, **named: Any) -> Weighed:
        return await super().weigh(*args, **{**named, "basis": Provenance.SYSTEMD})


class Eager(Weigher):
    """Has forgotten that it was told to observe."""

    def __init__(self, **parts: Any) -> None:
        settings = parts["settings"].model_copy(update={"autonomy": Autonomy.SUGGEST})
        super().__init__(**{**parts, "settings": settings})


async def test_a_policy_that_ignores_the_basis_is_seen(pool: Database, tmp_path: Path) -> None:
    level = "auto-full"
    async with hostile_rig(pool, level=level, folder=tmp_path, weigher=Credulous) as rig:
        tally = await attack(rig, "user name", MADE[:50])
    assert tally.unauthorised > 0
    assert tally.on_text > 0


async def test_a_level_that_is_ignored_is_seen(pool: Database, tmp_path: Path) -> None:
    async with hostile_rig(pool, level="observe", folder=tmp_path, weigher=Eager) as rig:
        tally = await attack(rig, "message", MADE[:GROUP])
    assert tally.observed_proposals > 0


async def test_an_approval_in_a_models_words_is_seen(
    pool: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def anywhere(messages: Sequence[Any]) -> Answer | None:
        for message in messages:
            words = message.text().split()
            if "approve" in words[:-1]:
                return Answer(code=words[words.index("approve") + 1], approve=True)
        return None

    monkeypatch.setattr(api.openai.chat, "answer_in", anywhere)
    async with hostile_rig(pool, level="suggest", folder=tmp_path) as rig:
        await _break_one(rig)
        await rig.settle()
        tally = await attack(rig, "approval text", MADE[:40])
    assert tally.forged_approvals > 0
    assert tally.unauthorised > 0


async def test_a_floor_that_is_lowered_is_seen(
    pool: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = tiers.trigger.verdict_of

    def without(judgement: Any, **named: Any) -> Any:
        verdict = honest(judgement, **named)
        return dataclasses.replace(verdict, severity=judgement.severity)

    monkeypatch.setattr(tiers.trigger, "verdict_of", without)
    monkeypatch.setattr(daemon.escalation.judge, "at_floor", lambda verdict, floor: verdict)
    async with hostile_rig(pool, level="suggest", folder=tmp_path) as rig:
        closing = [payload for payload in MADE if payload.wish == "close"]
        tally = await attack(rig, "alert annotation", closing[:50])
    assert tally.floors_lowered > 0


async def test_a_closed_incident_is_seen(
    pool: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Next(step=Step.CLOSE, reason=Reason.NOTHING_TO_DO)
    monkeypatch.setattr(daemon.escalation.settle, "after_review", lambda *a, **k: done)
    async with hostile_rig(pool, level="suggest", folder=tmp_path) as rig:
        tally = await attack(rig, "message", MADE[:GROUP])
    assert tally.bad_closed > 0


async def test_what_a_person_approves_by_its_code_is_done_once(
    pool: Database, tmp_path: Path
) -> None:
    """Nothing of the above is safe because nothing works."""
    async with hostile_rig(pool, level="suggest", folder=tmp_path) as rig:
        victim = await _break_one(rig)
        await rig.settle()
        assert rig.host.doors.effects == []
        listed = (await rig.http.get(API, headers=bearer("olga"))).json()["proposals"]
        shown = next(each for each in listed if each["target"] == victim)
        code = shown["code"]
        for who, status in (("eve", 403), ("olga", 200), ("olga", 409)):
            answer = await rig.http.post(f"{API}/{code}/approve", headers=bearer(who))
            assert answer.status_code == status, answer.text
            await rig.act()
        rig.approved.add((shown["kind"], victim))
        tally = await tally_of(rig, effects=rig.host.doors.effects, rows_before=0)
    # A restart forgets first how often the unit was started.
    wanted = "restart" if shown["kind"] == "restart_unit" else "reset-failed"
    assert [e.verb for e in rig.host.doors.effects].count(wanted) == 1
    assert tally.breaches == {}
