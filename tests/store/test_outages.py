"""Outages: backends killed at random, the server stopped in the middle; nothing lost or doubled."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import signal
import time

import psycopg
import pytest
from intake_samples import batch

from daemon.store import incidents, ledger, work
from daemon.store.embedded import EmbeddedServer, ServerState
from daemon.store.errors import StoreUnavailableError
from daemon.store.open import open_store
from daemon.store.pool import Database
from daemon.store.prepared import Group
from daemon.store.settings import EmbeddedSettings, StoreSettings
from daemon.store.transitions import Transition, apply
from daemon.store.writer import Writer
from tiers.vocabulary import Category, Severity

KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
  and state <> 'idle'
order by random() limit 1
"""
SUMS = """
select (select sum(received)::int from intake_counters),
       (select sum(folded)::int from intake_counters),
       (select count(*)::int from events), (select sum(count)::int from patterns),
       (select count(*)::int from event_keys)
"""


async def write_many(
    pool: Database, *, writers: int, groups: int, outage: asyncio.Task | None = None
) -> int:
    """Each group is 1 stored and 4 folded lines of its own keys, with a cursor that counts up.

    Writes until `groups` were written by each writer and the outage is over. Returns the total.
    """
    writer = Writer(database=pool)

    async def one(number: int) -> int:
        turn = 0
        while turn < groups or (outage is not None and not outage.done()):
            name = f"w{number}"
            group = Group.of(
                [
                    batch(
                        source=name,
                        text=f"pattern {turn % 5}",
                        folded=4,
                        keys=f"{name}-{turn}",
                        cursor={"turn": turn},
                    )
                ]
            )
            done = await writer.commit(group, seconds=None)
            assert not done.redelivered, "it met its own keys: it was committed twice"
            turn += 1
        return turn

    return sum(await asyncio.gather(*(one(number) for number in range(writers))))


def check(database: str, *, groups: int) -> None:
    lines = groups * 5
    with psycopg.connect(database) as connection:
        found = connection.execute(SUMS).fetchone()
        (turns,) = connection.execute(
            "select sum((cursor->>'turn')::int + 1)::int from cursors"
        ).fetchone()
    assert found == (lines, lines * 4 // 5, lines // 5, lines, lines)
    assert turns == groups


async def kill_backends(database: str, *, times: int, seed: int) -> None:
    """Kills backends that are at work, one after the other, at random moments."""
    chance = random.Random(seed)
    killed = 0
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        while killed < times:
            await asyncio.sleep(chance.uniform(0, 0.06))
            killed += (await connection.execute(KILL)).rowcount


async def test_backends_killed_two_hundred_times_lose_and_double_nothing(
    pool: Database, database: str
) -> None:
    killing = asyncio.create_task(kill_backends(database, times=200, seed=7))
    groups = await write_many(pool, writers=4, groups=0, outage=killing)
    await killing
    assert groups > 50
    check(database, groups=groups)


async def test_a_commit_whose_answer_is_lost_is_not_repeated(pool: Database, database: str) -> None:
    """The transaction becomes durable, and the answer to the commit never arrives."""
    writer = Writer(database=_LosesAnswers(pool, times=3))
    done = await writer.commit(Group.of([batch(keys="a")]))
    assert done.redelivered == {}
    with psycopg.connect(database) as connection:
        assert connection.execute(SUMS).fetchone() == (10, 9, 1, 10, 10)


class _LosesAnswers:
    """A database whose first commits succeed and seem not to."""

    def __init__(self, pool: Database, *, times: int) -> None:
        self._pool = pool
        self._left = times

    async def retry(self, body, *, seconds):
        while True:
            result = await self._pool.retry(body, seconds=seconds)
            if self._left == 0:
                return result
            self._left -= 1


class _One:
    """A database whose only connection is in a transaction that the test ends."""

    def __init__(self, connection) -> None:
        self._connection = connection

    async def retry(self, body, *, seconds):
        return await body(self._connection)


async def test_a_second_attempt_waits_for_the_first(pool: Database) -> None:
    """The first attempt's backend may still be committing when the second begins."""
    group = Group.of([batch(keys="a")])
    writer = Writer(database=pool)
    async with pool.connection() as connection:
        async with connection.transaction():
            first = Writer(database=_One(connection))
            await first.commit(group)
            second = asyncio.create_task(writer.commit(group))
            await asyncio.sleep(0.2)
            assert not second.done()
        assert (await second).redelivered == {}


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL, signal.SIGINT])
async def test_a_server_that_stops_in_the_middle_loses_and_doubles_nothing(
    state_dir, how: signal.Signals
) -> None:
    async with open_store(StoreSettings(pool_max=6), state_dir, attach=False) as store:
        server = store.server
        assert isinstance(server, EmbeddedServer)
        stopping = asyncio.create_task(stop_and_wait(server, how=how, times=3))
        groups = await write_many(store.pool, writers=4, groups=0, outage=stopping)
        await stopping
        assert groups > 3  # a busy machine lets few through between outages; dozens otherwise
        check(server.conninfo(), groups=groups)


async def stop_and_wait(server: EmbeddedServer, *, how: signal.Signals, times: int) -> None:
    """Stops the server in its work, again and again, each time once it is back."""
    for _ in range(times):
        await asyncio.sleep(0.15)
        before = server.pid
        os.kill(before, how)
        deadline = time.monotonic() + 20
        while server.state is not ServerState.RUNNING or server.pid == before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_callers_learn_that_they_must_wait_and_all_recovers_by_itself(state_dir) -> None:
    settings = StoreSettings(acquire_seconds=0.5, embedded=EmbeddedSettings())
    async with open_store(settings, state_dir, attach=False) as store:
        server = store.server
        assert server is not None
        (server.cluster.conf / "local.conf").write_text("shared_buffers = 'no'\n")
        os.kill(server.pid, signal.SIGQUIT)
        await asyncio.sleep(0.1)

        async def ask() -> None:
            async with store.pool.connection() as connection:
                await connection.execute("select 1")

        began = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await ask()
        assert time.monotonic() - began < 5
        assert not store.pool.available
        (server.cluster.conf / "local.conf").unlink()

        async def one(connection) -> tuple:
            return await (await connection.execute("select 1")).fetchone()

        assert await store.pool.retry(one) == (1,)
        await ask()
        assert store.pool.available


async def test_killed_backends_never_move_an_incident_twice(pool: Database, database: str) -> None:
    """A worker that is not sure tries again: compare-and-set and the ledger agree in the end."""
    opened = []
    for number in range(10):
        async with work.begin(pool) as unit:
            found = await incidents.open_or_join(
                unit,
                incidents.NewIncident(
                    severity=Severity.NOTICE,
                    category=Category.AUTH,
                    title="t",
                    unit="u",
                    correlation=f"k{number}",
                    at=dt.datetime.now(dt.UTC),
                ),
                reopen_seconds=0,
            )
        opened.append(found.incident)

    async def move_along(incident: incidents.Incident) -> None:
        for step in range(20):
            now_in, to = ("open", "watching") if step % 2 == 0 else ("watching", "open")
            wanted = Transition(
                incident_id=incident.id,
                from_state=now_in,
                fence=step,
                to_state=to,
                happening="test",
                actor="daemon",
                reason=str(step),
            )
            await work.run(pool, lambda unit, wanted=wanted: apply(unit, [wanted]), seconds=None)

    killing = asyncio.create_task(kill_backends(database, times=1_000_000, seed=3))
    await asyncio.gather(*(move_along(incident) for incident in opened))
    killing.cancel()
    await asyncio.gather(killing, return_exceptions=True)
    with psycopg.connect(database) as connection:
        states = connection.execute("select distinct state, fence from incidents").fetchall()
        entries = connection.execute(
            "select incident_id, count(*) from ledger group by 1 order by 1"
        ).fetchall()
    assert states == [("open", 20)]
    assert entries == [(incident.id, 21) for incident in opened]
    assert (await ledger.verify(pool)).holds


async def test_slow_statements_and_locks_end_and_say_so(database: str) -> None:
    settings = StoreSettings(pool_min=1, statement_seconds=0.2, lock_seconds=0.1)
    opened = Database(conninfo=database, settings=settings)
    await opened.open(wait_seconds=5)

    async def run(statement: str) -> None:
        async with opened.connection() as connection:
            await connection.execute(statement)

    try:
        with psycopg.connect(database) as holder:
            holder.execute("lock table mutes in access exclusive mode")
            for statement in ("select * from mutes", "select pg_sleep(5)"):
                with pytest.raises(StoreUnavailableError, match="too slow"):
                    await run(statement)
        await run("select * from mutes")
    finally:
        await opened.close()


async def test_a_cancelled_caller_gives_its_connection_back(pool: Database) -> None:
    async def sleep() -> None:
        async with pool.connection() as connection:
            await connection.execute("select pg_sleep(30)")

    tasks = [asyncio.create_task(sleep()) for _ in range(pool.size)]
    await asyncio.sleep(0.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        for _ in range(pool.size * 2):
            async with pool.transaction() as connection:
                await connection.execute("select 1")


async def test_a_deadlock_is_something_to_try_again(pool: Database) -> None:
    async with pool.connection() as connection:
        await connection.execute("insert into cursors (source) values ('a'), ('b')")
    both = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with pool.transaction() as connection:
            await connection.execute("update cursors set owner = 'x' where source = %s", (first,))
            await both.wait()
            await connection.execute("update cursors set owner = 'x' where source = %s", (second,))

    results = await asyncio.gather(lock("a", "b"), lock("b", "a"), return_exceptions=True)
    (error,) = [result for result in results if result is not None]
    assert isinstance(error, StoreUnavailableError)
    assert error.retry_after == 0
