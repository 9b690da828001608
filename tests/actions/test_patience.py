"""Requests that nobody waits for: decided on when that is possible, and not for ever."""

from __future__ import annotations

import pytest
from actions_kit import HOST, Lamp, Rig, request, rig

from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import HostUnavailableError
from daemon.actions.policy.facts import Origin
from daemon.actions.requests import new_action
from daemon.store import actions
from daemon.store.actions import ActionRow
from daemon.store.pool import Database
from daemon.store.work import run


async def insert(rigged: Rig, **changes: object) -> ActionRow:
    """As a worker asks, in the transaction of a tier's answer: the desk finds it."""
    catalogue: Catalogue = rigged.desk.catalogue
    new = new_action(request(**changes), catalogue=catalogue, host=HOST)
    row, _ = await run(rigged.database, lambda work: actions.insert(work, new))
    return row


async def sql(pool: Database, statement: str) -> None:
    async with pool.connection() as connection:
        await connection.execute(statement.encode())


async def test_the_next_step_on_a_target_waits_for_the_one_before(pool: Database) -> None:
    """As a plan has it: first this, then that, on one unit."""
    safe = rig(pool)
    await insert(safe)
    second = await insert(safe, kind="restart_unit")
    await safe.desk.tick()
    assert (await safe.row(second.id)).state == "requested"
    await safe.executor.work_once()
    await sql(pool, "update actions set next_at = now() where state = 'requested'")
    await safe.desk.tick()
    await safe.executor.work_once()
    assert safe.lamp.runs == ["light hall", "restart_unit hall"]


async def test_a_host_that_does_not_answer_is_asked_again(pool: Database) -> None:
    safe = rig(pool)
    row = await insert(safe)
    safe.lamp.find_error = HostUnavailableError("no bus")
    await safe.desk.tick()
    assert (await safe.row(row.id)).state == "requested"
    await safe.desk.tick()  # not at once
    safe.lamp.find_error = None
    await safe.desk.tick()
    assert (await safe.row(row.id)).state == "requested"
    await sql(pool, "update actions set next_at = now()")
    await safe.desk.tick()
    assert (await safe.row(row.id)).state == "approved"


async def test_a_request_of_last_week_is_not_decided_on(pool: Database) -> None:
    """The daemon was away: what a tier wanted then says nothing about now."""
    safe = rig(pool)
    row = await insert(safe)
    await sql(pool, "update actions set requested_at = now() - interval '7 days'")
    await safe.desk.tick()
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "expired"
    assert safe.lamp.runs == []
    assert safe.told.ends == [("light", "expired")]


@pytest.mark.parametrize(
    ("state", "approved_by", "left"),
    [
        ("requested", None, "withdrawn"),
        ("proposed", None, "withdrawn"),
        ("approved", None, "withdrawn"),
        ("approved", "anna", "approved"),
    ],
)
async def test_what_an_incident_needs_no_more_is_withdrawn(
    pool: Database, state: str, approved_by: str | None, left: str
) -> None:
    """But not what a human approved."""
    safe = rig(pool, autonomy="suggest", lamp=Lamp(find_error=HostUnavailableError("no bus")))
    await sql(
        pool,
        "insert into incidents (state, severity, category, title, unit, correlation)"
        " values ('watching', 'warning', 'service', 'a', 'b', 'c')",
    )
    async with pool.connection() as connection:
        found = await (await connection.execute("select id from incidents")).fetchone()
    assert found is not None
    row = await insert(safe, incident_id=found[0])
    async with pool.connection() as connection:
        await connection.execute(
            "update actions set state = %s, answered_by = %s, code = 'AAAA',"
            " approved_hash = case when %s::text is null then null else content_hash end",
            (state, approved_by, approved_by),
        )
    await sql(pool, "update incidents set state = 'closed', closed_at = now()")
    await safe.desk.tick()
    assert (await safe.row(row.id)).state == left


async def test_what_is_asked_for_a_closed_incident_stays(pool: Database) -> None:
    safe = rig(pool, autonomy="suggest")
    await sql(
        pool,
        "insert into incidents (state, severity, category, title, unit, correlation, closed_at)"
        " values ('closed', 'warning', 'service', 'a', 'b', 'c', now() - interval '1 minute')",
    )
    async with pool.connection() as connection:
        found = await (await connection.execute("select id from incidents")).fetchone()
    assert found is not None
    row = await safe.ask(incident_id=found[0], origin=Origin.CHAT)
    await safe.desk.tick()
    assert (await safe.row(row.id)).state == "proposed"


async def test_a_request_of_which_nobody_heard_is_decided(pool: Database) -> None:
    """Its commit was lost on the way back; whoever asks again gets an answer."""
    asking = rig(pool, autonomy="suggest")
    await insert(asking)
    assert (await asking.ask()).state == "proposed"


async def test_what_cannot_be_undone_is_asked_for_ever_more_seldom(pool: Database) -> None:
    safe = rig(pool)
    await safe.ask(parameters={"seconds": 1})
    await safe.executor.work_once()
    for ago, least, most in (("1 minute", 0.9, 1.1), ("5 hours", 4.9, 5.1), ("9 days", 23.9, 24.1)):
        async with pool.connection() as connection:
            await connection.execute(
                "update actions set started_at = now() - %s::interval where kind = 'light'", (ago,)
            )
        await sql(pool, "update inverses set due_at = now(), state = 'armed'")
        await safe.desk.tick()
        await sql(pool, "update actions set state = 'refused' where kind = 'darken'")
        await safe.desk.tick()
        async with pool.connection() as connection:
            row = await (
                await connection.execute(
                    "select extract(epoch from due_at - now()) / 3600, state from inverses"
                )
            ).fetchone()
        assert row is not None
        assert row[1] == "armed"
        assert least < row[0] < most
