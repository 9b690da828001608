"""Actions carried out: what is measured counts, once, whatever breaks."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from actions_kit import Lamp, Rig, rig

from daemon.actions.errors import (
    ActionError,
    HostUnavailableError,
    PreconditionError,
    PrivilegeError,
)
from daemon.store import action_past, ledger
from daemon.store.pool import Database
from daemon.views.effects import EffectsView


async def ended(rigged: Rig, **changes: object) -> str:
    row = await rigged.ask(**changes)
    await rigged.executor.work_once()
    return (await rigged.row(row.id)).state


async def test_done_is_what_was_measured(pool: Database) -> None:
    safe = rig(pool)
    row = await safe.ask()
    await safe.executor.work_once()
    done = await safe.row(row.id)
    assert (done.state, done.why) == ("done", "the lamp is on")
    assert done.before == {"lit": False}
    assert done.measured == {"lit": True, "was": False}
    assert done.output == "click"
    assert safe.told.ends == [("light", "done")]


async def test_output_and_return_prove_nothing(pool: Database) -> None:
    """An effect that says that it worked, and did not."""
    broken = rig(pool, lamp=Lamp(broken=True))
    assert await ended(broken) == "failed"
    async with pool.connection() as connection:
        learned = await action_past.outcomes(connection, host="web1", actions=[("light", "hall")])
    assert [(entry.done, entry.failed, entry.last_done) for entry in learned] == [(0, 1, False)]
    effects = await EffectsView(database=pool).since(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert len(effects) == 1
    assert ": failed (the lamp is off)" in effects[0]


@pytest.mark.parametrize("error", [ActionError("refused by polkit"), ValueError("a defect")])
async def test_an_effect_that_raises_is_measured_all_the_same(
    pool: Database, error: Exception
) -> None:
    worked = rig(pool, lamp=Lamp(lit=True, run_error=error))
    assert await ended(worked) == "done"
    worked.lamp.lit = False
    assert await ended(worked) == "failed"


async def test_a_refusal_is_said_first(pool: Database) -> None:
    refused = rig(pool, lamp=Lamp(broken=True, run_error=PrivilegeError("polkit says no.")))
    row = await refused.ask()
    await refused.executor.work_once()
    failed = await refused.row(row.id)
    assert (failed.state, failed.why) == ("failed", "polkit says no; measured: the lamp is off")


async def test_a_run_without_end_is_given_up_and_measured(pool: Database) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    hanging = rig(pool, lamp=Lamp(on_run=hang))
    row = await hanging.ask()
    await hanging.executor.work_once()
    failed = await hanging.row(row.id)
    assert failed.state == "failed"
    assert failed.output == "it did not end within 2 s"


async def test_what_nobody_can_measure_is_unknown_and_teaches_nothing(pool: Database) -> None:
    blind = rig(pool, lamp=Lamp(blind=True))
    assert await ended(blind) == "unknown"
    async with pool.connection() as connection:
        assert (
            await action_past.outcomes(connection, host="web1", actions=[("light", "hall")]) == []
        )
    assert blind.told.ends == [("light", "unknown")]


async def test_a_failure_is_not_tried_again_by_itself(pool: Database) -> None:
    broken = rig(pool, lamp=Lamp(broken=True))
    assert await ended(broken) == "failed"
    again = await broken.ask()
    assert (again.state, again.rule) == ("proposed", "failed-before")
    await broken.executor.work_once()
    assert broken.lamp.runs == ["light hall"]


async def test_two_failures_strike_out(pool: Database) -> None:
    broken = rig(pool, lamp=Lamp(broken=True))
    assert await ended(broken) == "failed"
    row = await broken.ask()
    await broken.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await broken.executor.work_once()
    struck = await broken.ask()
    assert (struck.state, struck.rule) == ("refused", "struck-out")


async def test_preconditions_are_looked_at_right_before(pool: Database) -> None:
    safe = rig(pool)
    row = await safe.ask()
    safe.lamp.ready_error = PreconditionError("somebody else is at the switch")
    await safe.executor.work_once()
    refused = await safe.row(row.id)
    assert (refused.state, refused.rule) == ("refused", "precondition")
    assert safe.lamp.runs == []


async def test_a_host_that_does_not_answer_is_waited_for(pool: Database) -> None:
    safe = rig(pool)
    row = await safe.ask()
    safe.lamp.ready_error = HostUnavailableError("no bus")
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "approved"
    safe.lamp.ready_error = None
    async with pool.connection() as connection:
        await connection.execute("update actions set next_at = now()")
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "done"


async def test_what_was_allowed_is_asked_when_the_limit_is_reached_meanwhile(
    pool: Database,
) -> None:
    lamp = Lamp(present={"hall", "attic"})
    safe = rig(pool, lamp=lamp, limits={"per_hour": 1})
    first, second = await safe.ask(), await safe.ask(target="attic")
    assert (first.state, second.state) == ("approved", "approved")
    await safe.executor.work_once()
    await safe.executor.work_once()
    await safe.desk.tick()
    waiting = await safe.row(second.id)
    assert (waiting.state, waiting.rule) == ("proposed", "limit")
    assert lamp.runs == ["light hall"]


async def test_one_at_a_time_on_a_target_over_all_executors(pool: Database) -> None:
    """Two processes, two actions on one lamp."""
    lamp = Lamp()
    active = most = 0

    async def slowly() -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.3)
        active -= 1

    lamp.on_run = slowly
    one = rig(pool, lamp=lamp, autonomy="suggest")
    two = rig(pool, lamp=lamp, autonomy="suggest", owner="two")
    rows = [await one.ask(parameters={"seconds": n}) for n in range(2)]
    for row in rows:
        if row.code:
            await one.desk.answer(code=row.code, approve=True, by="anna", where="cli")
    await asyncio.gather(one.executor.work_once(), two.executor.work_once())
    assert most == 1


async def test_a_lease_that_is_lost_writes_nothing(pool: Database) -> None:
    safe = rig(pool)

    async def lose() -> None:
        async with pool.connection() as connection:
            await connection.execute("update actions set fence = fence + 1, lease_owner = 'other'")

    safe.lamp.on_check = lose
    row = await safe.ask()
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "started"
    assert "action_result" not in await safe.kinds()
    assert (await ledger.verify(pool)).holds


async def _dead(pool: Database, state: str) -> None:
    """An executor died: its lease is over."""
    async with pool.connection() as connection:
        await connection.execute(
            "update actions set state = %s, lease_until = now() - interval '1 s',"
            " lease_owner = 'dead', before = '{\"lit\": false}'",
            (state,),
        )


async def test_found_with_an_intent_it_is_begun_anew(pool: Database) -> None:
    safe = rig(pool)
    row = await safe.ask()
    await _dead(pool, "intent")
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "done"
    assert safe.lamp.runs == ["light hall"]


@pytest.mark.parametrize(("lit", "state"), [(True, "done"), (False, "failed")])
async def test_found_started_it_is_measured_and_never_run(
    pool: Database, lit: bool, state: str
) -> None:
    safe = rig(pool, lamp=Lamp(lit=lit))
    row = await safe.ask()
    await _dead(pool, "started")
    await safe.executor.work_once()
    found = await safe.row(row.id)
    assert found.state == state
    assert "triaged was ended while it ran" in (found.why or "")
    assert safe.lamp.runs == []


async def test_found_started_and_blind_it_is_for_a_human(pool: Database) -> None:
    safe = rig(pool, lamp=Lamp(blind=True))
    row = await safe.ask()
    await _dead(pool, "started")
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "unknown"
    assert safe.lamp.runs == []


async def test_a_failed_action_has_nothing_to_take_back(pool: Database) -> None:
    broken = rig(pool, lamp=Lamp(broken=True))
    await broken.ask(parameters={"seconds": 1})
    await broken.executor.work_once()
    await asyncio.sleep(1.1)
    await broken.desk.tick()
    assert broken.lamp.runs == ["light hall"]
