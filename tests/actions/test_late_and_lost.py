"""What comes late, or lost its way: expired, stale, or begun by somebody who is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from actions_kit import Lamp, Nobody, rig
from psycopg.conninfo import make_conninfo

from api.ports import ConflictError
from daemon.actions.errors import PreconditionError
from daemon.store import action_past
from daemon.store.actions import ActionRow
from daemon.store.cluster import DAEMON
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings
from daemon.store.work import Work


async def sql(pool: Database, statement: str, *values: object) -> None:
    async with pool.connection() as connection:
        await connection.execute(statement.encode(), values)


@pytest.mark.parametrize("state", ["approved", "intent"])
async def test_an_approval_that_has_expired_is_not_carried_out(pool: Database, state: str) -> None:
    """A daemon that was away over the weekend: its executor looks before its desk does."""
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await sql(pool, "update actions set state = %s, expires_at = now() - interval '1 day'", state)
    for _ in range(3):
        await asking.executor.work_once()
    assert asking.lamp.runs == []
    await asking.desk.tick()
    assert (await asking.row(row.id)).state == "expired"


async def test_what_may_still_be_at_work_is_waited_for(pool: Database) -> None:
    """The daemon was started anew, and systemd or the helper goes on with what it was told."""
    safe = rig(pool, steady_seconds=1)
    safe.lamp.final = False
    row = await safe.ask()
    await sql(
        pool,
        "update actions set state = 'started', started_at = now(), before = '{\"lit\": false}'",
    )

    async def later() -> None:
        await asyncio.sleep(1.6)
        safe.lamp.lit = True

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "done"
    assert safe.lamp.runs == []


@pytest.mark.parametrize("ago", ["1 hour", "-1 hour"])
async def test_whichever_way_the_clock_went_it_ends(pool: Database, ago: str) -> None:
    safe = rig(pool, steady_seconds=1)
    safe.lamp.final = False
    row = await safe.ask()
    await sql(pool, "update actions set state = 'started', started_at = now() - %s::interval", ago)
    async with asyncio.timeout(10):
        await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "failed"


async def test_who_is_stopped_in_the_middle_makes_nobody_wait(pool: Database) -> None:
    """The next start measures at once, and runs nothing again."""
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(60)

    first = rig(pool, lamp=Lamp(on_run=hang), lease_seconds=600)
    row = await first.ask()
    working = asyncio.create_task(first.executor.run())
    await begun.wait()
    working.cancel()
    await asyncio.wait({working}, timeout=5)
    assert working.cancelled()
    left = await first.row(row.id)
    assert (left.state, left.lease_owner) == ("started", None)
    second = rig(pool, lamp=Lamp(lit=True), owner="two")
    await second.executor.work_once()
    assert (await second.row(row.id)).state == "done"
    assert second.lamp.runs == []


async def test_what_was_refused_is_no_success_however_the_host_looks(pool: Database) -> None:
    refused = rig(pool, lamp=Lamp(lit=True, run_error=PreconditionError("the helper refused")))
    row = await refused.ask()
    await refused.executor.work_once()
    ended = await refused.row(row.id)
    assert (ended.state, ended.why) == ("failed", "the helper refused; measured: the lamp is on")


class Forgetful(Database):
    """Commits, and then the connection breaks: nobody hears of it, once."""

    when: str | None = None

    async def retry(self, work: Any, *, seconds: float | None = 60) -> Any:
        async def watched(connection: Any) -> Any:
            moved = await work(connection)
            if self.when is not None and getattr(moved, "state", None) == self.when:
                self.when = None
                self.broke = True
            return moved

        self.broke = False
        result = await super().retry(watched, seconds=seconds)
        return await super().retry(work, seconds=seconds) if self.broke else result


@pytest.mark.parametrize("when", ["intent", "started", "done"])
async def test_a_commit_that_nobody_heard_of_is_found(
    database: str, store_settings: StoreSettings, when: str
) -> None:
    forgetful = Forgetful(conninfo=make_conninfo(database, user=DAEMON), settings=store_settings)
    await forgetful.open(wait_seconds=10)
    try:
        safe = rig(forgetful)
        row = await safe.ask()
        forgetful.when = when
        await safe.executor.work_once()
        assert (await safe.row(row.id)).state == "done"
        assert safe.lamp.runs == ["light hall"]
        assert (await safe.kinds()).count("action_result") == 1
    finally:
        await forgetful.close()


class Broken(Nobody):
    """A defect in what is told how actions end."""

    async def ended(self, work: Work, row: ActionRow) -> None:
        raise RuntimeError("a defect")


async def test_a_defect_of_one_action_does_not_end_the_executor(pool: Database) -> None:
    safe = rig(pool, told=Broken())
    await safe.ask()
    safe.lamp.ready_error = PreconditionError("not now")
    await safe.executor.work_once()


async def test_a_result_that_cannot_be_told_is_a_result_all_the_same(pool: Database) -> None:
    """Or its target would be closed to all others, and it would be measured for ever."""
    safe = rig(pool, told=Broken())
    row = await safe.ask()
    await safe.executor.work_once()
    assert (await safe.row(row.id)).state == "done"


@pytest.mark.parametrize("approve", [True, False])
async def test_an_answer_of_which_nobody_heard_was_given(
    database: str, store_settings: StoreSettings, approve: bool
) -> None:
    forgetful = Forgetful(conninfo=make_conninfo(database, user=DAEMON), settings=store_settings)
    await forgetful.open(wait_seconds=10)
    try:
        asking = rig(forgetful, autonomy="suggest")
        row = await asking.ask()
        forgetful.when = "approved" if approve else "denied"
        said: dict[str, Any] = {"code": row.code or "", "approve": approve, "where": "cli"}
        assert (await asking.desk.answer(**said, by="anna")).answered_by == "anna"
        with pytest.raises(ConflictError, match="by anna"):
            await asking.desk.answer(**said, by="bert")
    finally:
        await forgetful.close()


async def test_the_clock_of_the_store_says_what_has_expired(pool: Database) -> None:
    """Its own time is over, and nobody has looked yet."""
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    await sql(pool, "update actions set expires_at = now() - interval '1 s'")
    with pytest.raises(ConflictError, match=f"{row.code} has expired"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    assert (await asking.row(row.id)).state == "proposed"


async def test_a_stop_waits_for_what_is_just_being_begun(pool: Database) -> None:
    """Once somebody was told that acting is stopped, nothing is begun."""
    safe = rig(pool)
    order: list[str] = []
    async with pool.transaction() as connection:
        await action_past.hold_switch(Work(connection=connection))
        stopping = asyncio.create_task(safe.desk.stop(by="anna", reason="now"))
        stopping.add_done_callback(lambda _: order.append("stopped"))
        await asyncio.sleep(0.3)
        order.append("begun")
    await stopping
    assert order == ["begun", "stopped"]
