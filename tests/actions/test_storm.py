"""Three daemons of one host, people who answer, and a stop switch that is thrown all the time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from actions_kit import Lamp, Rig, rig

from api.ports import BusyError, ConflictError, NotFoundError
from daemon.actions.policy.facts import Origin
from daemon.store import actions, ledger
from daemon.store.pool import Database

SECONDS = 4.0
BEGUN_WHILE_STOPPED = """
select count(*) from ledger l where kind = 'action_started'
  and (select s.body ->> 'stopped' from ledger s where s.kind = 'action_stop' and s.seq < l.seq
       order by s.seq desc limit 1) = 'true'
"""


async def test_nothing_is_done_twice_nor_while_stopped(pool: Database) -> None:
    dice = random.Random(1)
    lamp = Lamp(present={f"lamp{n}" for n in range(6)})
    rigs = [
        rig(pool, lamp=lamp, owner=f"daemon {n}", autonomy="suggest", approval_minutes=0.01)
        for n in range(3)
    ]

    async def ask(one: Rig) -> None:
        target, seconds = f"lamp{dice.randrange(6)}", dice.randrange(3)
        await one.ask(target=target, parameters={"seconds": seconds}, origin=Origin.OPERATOR)

    async def answer(one: Rig) -> None:
        async with pool.connection() as connection:
            waiting = await actions.waiting(connection, limit=3)
        for row in waiting:
            approve = dice.random() < 0.8
            await one.desk.answer(code=row.code or "", approve=approve, by="anna", where="cli")

    async def tick(one: Rig) -> None:
        await one.desk.tick()

    async def work(one: Rig) -> None:
        await one.executor.work_once()

    async def stop(one: Rig) -> None:
        await asyncio.sleep(0.5)
        await one.desk.stop(by="anna", reason="wait")
        await asyncio.sleep(0.1)
        await one.desk.resume(by="anna", reason="go on")

    over = asyncio.get_running_loop().time() + SECONDS

    async def repeat(do: Callable[[Rig], Awaitable[None]], one: Rig) -> None:
        while asyncio.get_running_loop().time() < over:
            with contextlib.suppress(ConflictError, NotFoundError, BusyError):
                await do(one)
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for one in rigs:
            for do in (ask, answer, tick, work):
                group.create_task(repeat(do, one))
        group.create_task(repeat(stop, rigs[0]))

    async with pool.connection() as connection:
        while_stopped = await (await connection.execute(BEGUN_WHILE_STOPPED)).fetchone()
        found = await (
            await connection.execute("select count(*) from actions where started_at is not null")
        ).fetchone()
    assert while_stopped == (0,)
    assert found == (len(lamp.runs),)
    assert len(lamp.runs) > 2
    assert (await ledger.verify(pool)).holds
