"""What comes late, or lost its way: expired, stale, or begun by somebody who is gone."""

from __future__ import annotations

import pytest
from actions_kit import Rig, rig

from daemon.store.actions import ActionRow
from daemon.store.pool import Database


async def sql(pool: Database, statement: str) -> None:
    async with pool.connection() as connection:
        await connection.execute(statement.encode())


@pytest.mark.parametrize("state", ["approved", "intent"])
async def test_an_approval_that_has_expired_is_not_carried_out(pool: Database, state: str) -> None:
    """A daemon that was away over the weekend: its executor looks before its desk does."""
    asking = rig(pool, autonomy="suggest")
    row = await asking.ask()
    await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    await sql(pool, f"update actions set state = '{state}', expires_at = now() - interval '1 day'")
    for _ in range(3):
        await asking.executor.work_once()
    assert asking.lamp.runs == []
    await asking.desk.tick()
    assert (await asking.row(row.id)).state == "expired"
