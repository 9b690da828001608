"""What keys use is kept, shared between daemons, and survives outages without being refilled."""

from __future__ import annotations

import asyncio
import datetime as dt

import psycopg
import pytest

from api.keys.meter import Meter, Usage, UsedOn
from api.roles import Caller, Role
from daemon.store import usage
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings
from daemon.views.keys import KeptUsage

TODAY = dt.date(2026, 3, 1)


class Clock:
    def __init__(self) -> None:
        self.now = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


def caller(key: str) -> Caller:
    return Caller(key=key, role=Role.VIEWER)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_restart_refills_nothing(pool: Database, clock: Clock) -> None:
    meter = Meter(now=clock)
    kept = KeptUsage(database=pool, meter=meter)
    await kept.load()
    meter.report(caller("k"), "triaged", 70, 30)
    meter.report(caller(""), "tier/meta", 1, 1)
    meter.seen("k")
    await kept.flush()
    await kept.flush()
    meter.report(caller("k"), "triaged", 5, 0)
    await kept.flush()
    again = Meter(now=clock)
    await KeptUsage(database=pool, meter=again).load()
    assert again.tokens_today("k") == 105
    assert again.today("k")["triaged"] == Usage(
        requests=2, prompt_tokens=75, completion_tokens=30, last_used=clock.now
    )
    assert again.today("k")[""].requests == 1
    assert again.tokens_today("") == 2
    assert again.last_used("k") == clock.now
    clock.now += dt.timedelta(days=1)
    tomorrow = Meter(now=clock)
    await KeptUsage(database=pool, meter=tomorrow).load()
    assert tomorrow.tokens_today("k") == 0
    assert tomorrow.last_used("k") == clock.now - dt.timedelta(days=1)


async def test_daemons_that_share_a_database_share_budgets(pool: Database, clock: Clock) -> None:
    meters = [Meter(now=clock) for _ in range(3)]
    keepers = [KeptUsage(database=pool, meter=meter) for meter in meters]

    async def work(meter: Meter, keeper: KeptUsage) -> None:
        for number in range(20):
            meter.report(caller(f"k{number % 4}"), "m", 1, 1)
            await keeper.flush()

    await asyncio.gather(*(work(m, k) for m, k in zip(meters, keepers, strict=True)))
    for meter, keeper in zip(meters, keepers, strict=True):
        meter.seen("k0")
        await keeper.flush()
        assert [meter.tokens_today(f"k{n}") for n in range(4)] == [30] * 4


async def test_while_the_store_is_away_counting_goes_on(
    database: str, store_settings: StoreSettings, clock: Clock
) -> None:
    opened = Database(conninfo=database, settings=store_settings, application_name="away")
    await opened.open(wait_seconds=10)
    meter = Meter(now=clock)
    kept = KeptUsage(database=opened, meter=meter)
    meter.report(caller("k"), "m", 10, 0)
    async with opened.transaction() as connection:
        await connection.execute("alter table key_usage rename to gone")
    await kept.flush()  # a defect is logged, and nothing is lost
    assert meter.tokens_today("k") == 10
    meter.report(caller("k"), "m", 5, 0)
    async with opened.transaction() as connection:
        await connection.execute("alter table gone rename to key_usage")
    await kept.flush()
    assert meter.tokens_today("k") == 15
    meter.report(caller("k"), "m", 1, 0)
    await opened.close()
    await kept.flush()
    assert meter.tokens_today("k") == 16
    with psycopg.connect(database) as connection:
        assert connection.execute("select sum(prompt_tokens) from key_usage").fetchone() == (15,)


async def test_old_days_are_forgotten(pool: Database, clock: Clock) -> None:
    old = TODAY - dt.timedelta(days=usage.KEPT_DAYS + 1)
    rows = [
        UsedOn(key="k", day=day, model="m\0", usage=Usage(requests=1, last_used=clock.now))
        for day in (old, TODAY - dt.timedelta(days=usage.KEPT_DAYS), TODAY)
    ]
    async with pool.transaction() as connection:
        await usage.add(connection, rows)
        await usage.add(connection, [])
    await KeptUsage(database=pool, meter=Meter(now=clock)).flush()
    async with pool.connection() as connection:
        cursor = await connection.execute("select day from key_usage order by day")
        assert [row[0] for row in await cursor.fetchall()] == [
            TODAY - dt.timedelta(days=usage.KEPT_DAYS),
            TODAY,
        ]
