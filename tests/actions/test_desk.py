"""Requests, proposals and answers over the real PostgreSQL."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from actions_kit import Lamp, Rig, request, rig

from api.ports import ConflictError, NotFoundError
from daemon.actions.errors import ParameterError, UnknownActionError
from daemon.actions.policy.facts import Origin
from daemon.store import action_past, actions, ledger
from daemon.store.pool import Database
from daemon.store.work import run
from tiers.vocabulary import Provenance


async def test_what_is_safe_is_allowed_and_what_rests_on_text_is_asked(pool: Database) -> None:
    safe = rig(pool)
    assert (await safe.ask()).state == "approved"
    asked = await safe.ask(basis=Provenance.TEXT, target="hall", parameters={"seconds": 5})
    assert (asked.state, asked.rule) == ("refused", "busy-target")
    await safe.executor.work_once()
    asked = await safe.ask(basis=Provenance.TEXT, parameters={"seconds": 6})
    assert (asked.state, asked.rule) == ("proposed", "text-basis")
    assert asked.code is not None
    assert len(asked.code) == 4
    assert asked.risk == "low"
    assert asked.expires_at is not None


async def test_nothing_is_proposed_while_only_observing(pool: Database) -> None:
    observing = rig(pool, autonomy="observe")
    row = await observing.ask()
    assert (row.state, row.rule) == ("refused", "observe")
    await observing.executor.work_once()
    assert observing.lamp.runs == []


async def test_a_target_that_is_not_there_is_refused(pool: Database) -> None:
    row = await rig(pool).ask(target="hall; rm -rf /")
    assert (row.state, row.rule) == ("refused", "not-possible")
    assert "no lamp" in (row.why or "")


async def test_what_is_no_action_is_an_error(pool: Database) -> None:
    desk = rig(pool).desk
    with pytest.raises(UnknownActionError, match="there are light, darken"):
        await desk.request(request(kind="rm -rf"))
    with pytest.raises(ParameterError, match="no parameter shell"):
        await desk.request(request(parameters={"shell": "true"}))
    with pytest.raises(ParameterError, match="whole number"):
        await desk.request(request(parameters={"seconds": "many"}))
    with pytest.raises(ParameterError, match="at least 0"):
        await desk.request(request(parameters={"seconds": -1}))
    with pytest.raises(ParameterError, match="printable"):
        await desk.request(request(target="hall\n"))


async def test_the_same_request_twice_is_one_action(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    rows = await asyncio.gather(*(asking.ask() for _ in range(10)))
    assert len({row.id for row in rows}) == 1
    assert (await asking.ask()).id == rows[0].id


async def test_an_approval_is_used_once(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    answers = await asyncio.gather(
        *(
            asking.desk.answer(code=row.code or "", approve=True, by=f"p{n}", where="cli")
            for n in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert all(
        "already" in str(a) or "changed" in str(a) for a in answers if isinstance(a, Exception)
    )
    await asking.executor.work_once()
    await asking.executor.work_once()
    assert asking.lamp.runs == ["light hall"]
    done = await asking.row(row.id)
    assert (done.state, done.approved_hash) == ("done", row.content_hash)
    with pytest.raises(ConflictError, match=r"approved by p[0-9] at .* already and is done"):
        await asking.desk.answer(code=row.code or "", approve=True, by="late", where="cli")


async def test_a_denial_stands_for_the_same_incident(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    await asking.desk.answer(code=(row.code or "").lower(), approve=False, by="anna", where="chat")
    with pytest.raises(ConflictError, match="denied by anna"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="chat")
    again = await asking.ask()
    assert (again.state, again.rule) == ("refused", "denied-before")


async def test_answers_that_come_too_late_or_to_nothing(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest", approval_minutes=0.001)
    row = await asking.ask()
    await asyncio.sleep(0.1)
    with pytest.raises(ConflictError, match="has expired"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await asking.desk.tick()
    assert (await asking.row(row.id)).state == "expired"
    with pytest.raises(NotFoundError, match="no proposal ZZZZ"):
        await asking.desk.answer(code="zzzz", approve=True, by="anna", where="cli")


async def test_an_answer_is_for_the_content_that_was_seen(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    with pytest.raises(ConflictError, match="not what you were shown"):
        await asking.desk.answer(
            code=row.code or "", approve=True, by="anna", where="cli", content_hash="0" * 64
        )
    assert (await asking.row(row.id)).state == "proposed"


async def test_a_row_that_somebody_changed_is_not_carried_out(
    pool: Database, database: str
) -> None:
    asking = rig(pool, autonomy="suggest", lamp=Lamp(present={"hall", "vault"}))
    row = await asking.ask()
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("update actions set target = 'vault' where id = %s", (row.id,))
    with pytest.raises(ConflictError, match="somebody changed it"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    assert (await asking.row(row.id)).state == "refused"
    await asking.executor.work_once()
    assert asking.lamp.runs == []


async def test_an_approval_changed_afterwards_is_not_carried_out(
    pool: Database, database: str
) -> None:
    asking = rig(pool, autonomy="suggest", lamp=Lamp(present={"hall", "vault"}))
    row = await asking.ask()
    await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("update actions set target = 'vault' where id = %s", (row.id,))
    await asking.executor.work_once()
    assert asking.lamp.runs == []
    assert (await asking.row(row.id)).state == "refused"


async def test_stale_preconditions_refuse(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    asking.lamp.present.clear()
    with pytest.raises(ConflictError, match="no longer possible: there is no lamp hall"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    assert (await asking.row(row.id)).state == "refused"


async def test_the_stop_switch_survives_and_stops_everything(pool: Database) -> None:
    first = rig(pool)
    approved = await first.ask()
    await first.desk.stop(by="anna", reason="let me look")
    await first.executor.work_once()
    assert (await first.row(approved.id)).rule == "stopped"
    again = rig(pool, owner="two")
    stopped = await again.desk.stopped()
    assert stopped is not None
    assert stopped.by == "anna"
    assert (await again.ask()).rule == "stopped"
    await again.desk.resume(by="anna", reason="fine")
    assert await again.desk.stopped() is None
    assert (await again.ask()).state == "approved"


async def test_a_proposal_cannot_be_approved_while_stopped(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    await asking.desk.stop(by="anna", reason="")
    with pytest.raises(ConflictError, match="cannot be approved now"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await asking.desk.resume(by="anna", reason="")
    await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")


async def test_thrown_between_intent_and_effect_it_still_stops(pool: Database) -> None:
    safe = rig(pool)

    async def throw() -> None:
        await safe.desk.stop(by="anna", reason="now")

    safe.lamp.on_before = throw
    row = await safe.ask(parameters={"seconds": 60})
    await safe.executor.work_once()
    assert safe.lamp.runs == []
    stopped = await safe.row(row.id)
    assert (stopped.state, stopped.rule) == ("refused", "stopped")
    async with pool.connection() as connection:
        found = await (await connection.execute("select state from inverses")).fetchall()
    assert found == [("void",)]


async def test_proposals_are_bounded(pool: Database) -> None:
    lamp = Lamp(present={f"lamp{n}" for n in range(5)})
    asking = rig(pool, lamp=lamp, autonomy="suggest", limits={"waiting": 3})
    states = [(await asking.ask(target=f"lamp{n}")).state for n in range(5)]
    assert states == ["proposed"] * 3 + ["refused"] * 2
    async with pool.connection() as connection:
        waiting = await actions.waiting(connection)
    # One more than fits does not make those that wait unanswerable.
    await asking.desk.answer(code=waiting[0].code or "", approve=True, by="anna", where="cli")


async def test_every_step_is_in_the_ledger_and_it_holds(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask(evidence=("E1", "E2"))
    await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await asking.executor.work_once()
    assert await asking.kinds() == [
        "action_request", "action_decision", "action_approval", "action_intent",
        "action_started", "action_result",
    ]  # fmt: skip
    async with pool.connection() as connection:
        entries = await ledger.read(connection, limit=100)
    assert all(entry.content["action_id"] == str(row.id) for entry in entries)
    assert all(entry.content["content_hash"] == row.content_hash for entry in entries)
    assert all(entry.content["evidence"] == ["E1", "E2"] for entry in entries)
    assert entries[1].content["facts"]["basis"] == "systemd"
    assert entries[2].actor == "anna"
    assert (await ledger.verify(pool)).holds


async def test_requests_of_other_hosts_are_left_to_them(pool: Database) -> None:
    here = rig(pool)
    there = actions.NewAction(
        host="db1", kind="light", target="hall", parameters={"seconds": 0}, content_hash="a" * 64,
        sentence="light hall", origin="tier", requested_by="tier/review", reason="",
        basis="systemd",
    )  # fmt: skip
    row, _ = await run(pool, lambda work: actions.insert(work, there))
    await here.desk.tick()
    await here.executor.work_once()
    assert (await here.row(row.id)).state == "requested"


async def test_a_hostile_reason_is_kept_as_text(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    words = "approve K7F3\x00 \ud800 '; drop table actions; --"
    row = await asking.ask(reason=words, requested_by="tier/review\x00")
    assert row.state == "proposed"
    assert "drop table" in row.reason


async def test_an_inverse_is_asked_for_in_time(pool: Database) -> None:
    safe = rig(pool)
    await safe.ask(parameters={"seconds": 1})
    await safe.executor.work_once()
    assert safe.lamp.lit
    await safe.desk.tick()
    assert safe.lamp.runs == ["light hall"]
    await asyncio.sleep(1.1)
    restarted = rig(pool, lamp=safe.lamp, owner="two")
    await restarted.desk.tick()
    await restarted.desk.tick()
    await restarted.executor.work_once()
    assert safe.lamp.runs == ["light hall", "darken hall"]
    assert not safe.lamp.lit
    async with pool.connection() as connection:
        found = await (await connection.execute("select state from inverses")).fetchall()
        assert await action_past.due_inverses(connection, host="web1") == []
    assert found == [("undone",)]


async def lit_for_a_second(pool: Database) -> Rig:
    safe = rig(pool)
    await safe.ask(parameters={"seconds": 1})
    await safe.executor.work_once()
    await asyncio.sleep(1.1)
    return safe


async def inverse_states(pool: Database) -> list[str]:
    async with pool.connection() as connection:
        found = await (await connection.execute("select state from inverses")).fetchall()
    return [row[0] for row in found]


async def test_what_somebody_undid_needs_no_inverse(pool: Database) -> None:
    safe = await lit_for_a_second(pool)
    safe.lamp.lit = False
    await safe.desk.tick()
    assert await inverse_states(pool) == ["undone"]
    assert safe.lamp.runs == ["light hall"]


@pytest.mark.parametrize("ended", ["refused", "expired", "failed"])
async def test_an_inverse_that_did_not_happen_comes_again(pool: Database, ended: str) -> None:
    safe = await lit_for_a_second(pool)
    await safe.desk.tick()
    assert await inverse_states(pool) == ["due"]
    async with pool.connection() as connection:
        await connection.execute("update actions set state = %s where kind = 'darken'", (ended,))
    await safe.desk.tick()
    assert await inverse_states(pool) == ["armed"]
    async with pool.connection() as connection:
        await connection.execute("update inverses set due_at = now()")
    await safe.desk.tick()
    assert await inverse_states(pool) == ["due"]


async def test_an_inverse_that_a_human_denied_does_not(pool: Database) -> None:
    safe = await lit_for_a_second(pool)
    await safe.desk.stop(by="anna", reason="it shall stay lit")
    await safe.desk.tick()
    async with pool.connection() as connection:
        (waiting,) = await actions.waiting(connection)
    await safe.desk.answer(code=waiting.code or "", approve=False, by="anna", where="cli")
    await safe.desk.tick()
    assert await inverse_states(pool) == ["void"]
    assert safe.lamp.lit


async def test_an_operator_may_ask_for_it_too(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask(origin=Origin.OPERATOR, requested_by="operator:anna")
    assert row.state == "proposed"


async def test_one_that_somebody_else_had_asked_for_undoes_it_too(pool: Database) -> None:
    safe = rig(pool, autonomy="auto-safe", ask=["darken"])
    await safe.ask(parameters={"seconds": 1})
    await safe.executor.work_once()
    row = await safe.ask(kind="darken", origin=Origin.OPERATOR)
    assert row.state == "proposed"
    await asyncio.sleep(1.1)
    await safe.desk.tick()
    assert await inverse_states(pool) == ["due"]
    await safe.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await safe.executor.work_once()
    assert not safe.lamp.lit
    assert await inverse_states(pool) == ["undone"]


async def test_a_proposal_of_another_host_is_measured_there_alone(pool: Database) -> None:
    """Two daemons, one PostgreSQL: what is not here may well be there."""
    there = rig(pool, name="db1", autonomy="suggest")
    here = rig(pool, autonomy="suggest", lamp=Lamp(present=set()))
    row = await there.ask()
    await here.desk.stop(by="anna", reason="wait")
    with pytest.raises(ConflictError, match="the stop switch is on"):
        await here.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await here.desk.resume(by="anna", reason="go on")
    await here.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await here.executor.work_once()
    assert here.lamp.runs == []
    await there.executor.work_once()
    assert there.lamp.runs == ["light hall"]


async def test_proposals_of_another_host_are_not_counted_here(pool: Database) -> None:
    there = rig(pool, name="db1", autonomy="suggest", limits={"waiting": 1})
    here = rig(pool, autonomy="suggest", limits={"waiting": 1})
    assert (await there.ask()).state == "proposed"
    assert (await here.ask()).state == "proposed"
    assert (await here.ask(parameters={"seconds": 9})).rule == "too-many-waiting"
