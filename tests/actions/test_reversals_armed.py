"""What could lock the operator out is reversed by others, unless a person says that it did not."""

from __future__ import annotations

import pytest
from actions_kit import Lamp, rig

from api.ports import ConflictError
from daemon.actions.errors import HostUnavailableError, PreconditionError, PrivilegeError
from daemon.actions.reversal import token_of
from daemon.store.actions import ActionRow
from daemon.store.pool import Database


def ways_in(pool: Database, lamp: Lamp | None = None):  # type: ignore[no-untyped-def]
    return rig(
        pool,
        lamp=lamp or Lamp(critical="ssh", way_in=True),
        autonomy="auto-full",
        named=["hall"],
    )


async def approved(rigged) -> ActionRow:  # type: ignore[no-untyped-def]
    row = await rigged.ask(kind="restart_unit")
    assert (row.state, row.rule) == ("proposed", "critical")
    await rigged.desk.answer(code=row.code, approve=True, by="anna", where="cli")
    await rigged.executor.work_once()
    return await rigged.row(row.id)  # type: ignore[no-any-return]


async def test_it_is_armed_before_and_called_off_by_a_person(pool: Database) -> None:
    rigged = ways_in(pool)

    async def armed_by_now() -> None:
        assert rigged.timers.armed

    rigged.lamp.on_run = armed_by_now
    row = await approved(rigged)
    assert row.state == "done"
    assert rigged.timers.armed == {token_of(row.id): ("start_unit", "hall")}
    assert row.confirm_by is not None
    await rigged.desk.confirm(code=row.code or "", by="anna", where="ssh")
    assert rigged.timers.armed == {}
    with pytest.raises(ConflictError, match="confirmed by anna from ssh already"):
        await rigged.desk.confirm(code=row.code or "", by="anna", where="ssh")
    assert "action_confirmed" in await rigged.kinds()


async def test_what_cannot_be_reversed_is_not_begun(pool: Database) -> None:
    rigged = ways_in(pool)
    rigged.timers.error = PrivilegeError("the helper does not allow reversal-arm")
    row = await approved(rigged)
    assert (row.state, row.rule) == ("refused", "no-reversal")
    assert rigged.lamp.runs == []


async def test_stopped_after_arming_nothing_stays_armed(pool: Database) -> None:
    rigged = ways_in(pool)

    async def stop() -> None:
        await rigged.desk.stop(by="anna", reason="wait")

    rigged.lamp.on_before = stop
    row = await approved(rigged)
    assert (row.state, row.rule) == ("refused", "stopped")
    assert rigged.timers.armed == {}


async def test_one_that_failed_stays_armed_and_is_noted_once_it_was_reversed(
    pool: Database,
) -> None:
    rigged = ways_in(pool, Lamp(critical="ssh", way_in=True, broken=True))
    row = await approved(rigged)
    assert row.state == "failed"
    assert token_of(row.id) in rigged.timers.armed
    async with pool.connection() as connection:
        await connection.execute("update actions set confirm_by = now() - interval '1 s'")
    rigged.timers.armed.clear()  # systemd did it
    await rigged.desk.tick()
    await rigged.desk.tick()
    assert (await rigged.kinds()).count("action_reversed") == 1
    with pytest.raises(ConflictError, match="time to confirm"):
        await rigged.desk.confirm(code=row.code or "", by="anna", where="ssh")


async def test_a_reversal_that_cannot_be_called_off_is_no_confirmation(pool: Database) -> None:
    rigged = ways_in(pool)
    row = await approved(rigged)
    rigged.timers.error = PrivilegeError("not allowed")
    with pytest.raises(ConflictError, match="could not be called off"):
        await rigged.desk.confirm(code=row.code or "", by="anna", where="ssh")
    assert (await rigged.row(row.id)).confirmed_at is None


async def test_what_is_no_way_in_needs_no_reversal(pool: Database) -> None:
    rigged = rig(pool)
    row = await rigged.ask(kind="restart_unit")
    await rigged.executor.work_once()
    assert (await rigged.row(row.id)).state == "done"
    assert rigged.timers.armed == {}


async def test_what_never_began_leaves_no_reversal_behind(pool: Database) -> None:
    """Armed by an executor that died before it began, and then not possible any more."""
    rigged = ways_in(pool)
    row = await rigged.ask(kind="restart_unit")
    await rigged.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    rigged.timers.armed[token_of(row.id)] = ("start_unit", "hall")
    async with pool.connection() as connection:
        await connection.execute(
            "update actions set state = 'intent', reversal = '{\"kind\": \"start_unit\"}'"
        )
    rigged.timers.cancel_error = HostUnavailableError("no bus")
    await rigged.executor.work_once()
    assert (await rigged.row(row.id)).state == "intent"  # nothing else happens before
    rigged.timers.cancel_error = None
    async with pool.connection() as connection:
        await connection.execute("update actions set next_at = now()")
    rigged.lamp.ready_error = PreconditionError("it is gone")
    await rigged.executor.work_once()
    assert (await rigged.row(row.id)).state == "refused"
    assert rigged.timers.armed == {}


async def test_one_that_may_be_armed_is_called_off_too(pool: Database) -> None:
    rigged = ways_in(pool)
    rigged.timers.arm_error = HostUnavailableError("armed, but nobody could say so")
    row = await approved(rigged)
    assert (row.state, row.rule) == ("refused", "no-reversal")
    assert rigged.timers.armed == {}


async def test_systemd_is_given_a_moment_before_a_reversal_is_called_overdue(
    pool: Database,
) -> None:
    rigged = ways_in(pool)
    await approved(rigged)
    for ago, noted in (("1 s", 0), ("2 min", 1)):
        async with pool.connection() as connection:
            await connection.execute("update actions set confirm_by = now() - %s::interval", (ago,))
        await rigged.desk.tick()
        assert (await rigged.kinds()).count("action_reversed") == noted


@pytest.mark.parametrize("ahead", ["-1 hour", "1 hour"])
async def test_the_timer_says_whether_there_is_time_to_confirm(pool: Database, ahead: str) -> None:
    """Not a clock: that of the store may be hours away from this host's."""
    rigged = ways_in(pool)
    row = await approved(rigged)
    async with pool.connection() as connection:
        await connection.execute("update actions set confirm_by = now() + %s::interval", (ahead,))
    armed = dict(rigged.timers.armed)
    rigged.timers.armed.clear()
    with pytest.raises(ConflictError, match="time to confirm"):
        await rigged.desk.confirm(code=row.code or "", by="anna", where="ssh")
    assert (await rigged.row(row.id)).confirmed_at is None
    rigged.timers.armed.update(armed)
    confirmed = await rigged.desk.confirm(code=row.code or "", by="anna", where="ssh")
    assert confirmed.confirmed_at is not None
