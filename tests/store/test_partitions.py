"""Days are made ahead, dropped after their retention, and rows without a day are rescued."""

from __future__ import annotations

import datetime as dt

import psycopg
from psycopg import sql

from daemon.store import partitions
from daemon.store.partitions import Maintenance
from daemon.store.pool import Database
from daemon.store.settings import RetentionSettings, StoreSettings

SETTINGS = StoreSettings(
    partitions_ahead_days=3,
    retention=RetentionSettings(events_days=5, metrics_days=5, event_keys_days=2),
)


async def days(pool: Database, table: str) -> list[str]:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass"
            " order by 1",
            (table,),
        )
        return [row[0] for row in await cursor.fetchall()]


def metric(connection: psycopg.Connection, at: str) -> None:
    connection.execute(
        "insert into metrics (at, name, value) values (now() + %s::interval, 'm', 1)", (at,)
    )


def count(connection: psycopg.Connection, table: str) -> int:
    query = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
    (number,) = connection.execute(query).fetchone()
    return number


async def test_days_are_made_ahead_once(pool: Database, store_settings: StoreSettings) -> None:
    today = dt.datetime.now(dt.UTC).date()
    maintenance = Maintenance(database=pool, settings=SETTINGS)
    assert await maintenance.prepare() == ()  # the template has more days than we ask for
    present = await days(pool, "events")
    for offset in range(-1, store_settings.partitions_ahead_days + 1):
        assert f"events_{today + dt.timedelta(days=offset):%Y%m%d}" in present
    assert "events_default" in present


async def test_rows_without_a_day_raise_an_alarm_and_are_moved(
    pool: Database, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for at in ("40 days", "40 days", "41 days", "-2 days"):
            metric(connection, at)
        connection.execute(
            "insert into events (observed_at, occurred_at, source, source_kind, unit, provenance,"
            " fingerprint, text) values (now() + interval '40 days', now(), 's', 'file', 'u',"
            " 'text', 'f', 't')"
        )
    report = await Maintenance(database=pool, settings=SETTINGS).run()
    assert len(report.alarms) == 2
    assert "1 rows of events came for days without a partition" in report.alarms[0]
    assert "4 rows of metrics" in report.alarms[1]
    with psycopg.connect(database) as connection:
        for table, expected in (("metrics", 4), ("events", 1)):
            assert count(connection, table) == expected
            assert count(connection, f"{table}_default") == 0
        # What was moved is a day like any other: new rows go there, and ids still count up.
        metric(connection, "40 days")
        connection.execute(
            "insert into events (observed_at, occurred_at, source, source_kind, unit, provenance,"
            " fingerprint, text) values (now() + interval '40 days', now(), 's', 'file', 'u',"
            " 'text', 'f', 't')"
        )
        assert connection.execute("select count(*) from metrics_default").fetchone() == (0,)
        assert connection.execute("select count(distinct id) from events").fetchone() == (2,)
    assert (await Maintenance(database=pool, settings=SETTINGS).run()).alarms == ()


async def test_old_days_and_keys_go_and_the_rest_stays(pool: Database, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for at in ("-10 days", "-6 days", "-5 days", "0 days"):
            metric(connection, at)
        connection.execute(
            "insert into event_keys (source, key, seen_at) select 's', n::text,"
            " now() - interval '3 days' from generate_series(1, 25000) n"
        )
        connection.execute("insert into event_keys (source, key) values ('s', 'fresh')")
        connection.execute(
            "insert into intake_commits (id, at) values"
            " (gen_random_uuid(), now() - interval '2 days'), (gen_random_uuid(), now())"
        )
    report = await Maintenance(database=pool, settings=SETTINGS).run()
    assert report.keys_deleted == 25_000
    assert len(report.dropped) == 2
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from metrics").fetchone() == (2,)
        assert connection.execute("select key from event_keys").fetchall() == [("fresh",)]
        assert connection.execute("select count(*) from intake_commits").fetchone() == (1,)


async def test_a_busy_table_keeps_its_old_days_until_the_next_run(
    pool: Database, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        metric(connection, "-10 days")
    maintenance = Maintenance(database=pool, settings=SETTINGS)
    with psycopg.connect(database) as reader:
        await maintenance.run()  # makes the day, and drops it; nobody reads yet
        async with pool.connection() as owner:
            await owner.execute(
                "create table metrics_20200101 partition of metrics"
                " for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00')"
            )
        reader.execute("select count(*) from metrics").fetchone()
        report = await maintenance.run()
        assert report.dropped == ()
        reader.rollback()
        assert (await maintenance.run()).dropped == ("metrics_20200101",)


async def test_without_timescale_days_are_partitions(pool: Database) -> None:
    async with pool.connection() as connection:
        assert not await partitions.community_timescale(connection)
        # The setting alone, as a leftover in a configuration file, proves nothing.
        await connection.execute("set timescaledb.license = 'timescale'")
        assert not await partitions.community_timescale(connection)
