"""Migrations: forward only, checksummed, and safe to start from several daemons at once."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from daemon.store.errors import NewerSchemaError, StoreSetupError
from daemon.store.migrate import Migration, migrate, packaged
from daemon.store.pool import Database

SECOND = Migration(
    number=2, name="more", sql=b"create table more (id int); insert into more values (1)"
)


def test_numbers_have_no_gap() -> None:
    assert [migration.number for migration in packaged()] == list(range(1, len(packaged()) + 1))


async def test_a_migrated_database_has_nothing_to_do(pool: Database) -> None:
    assert await migrate(pool) == ()


async def test_many_daemons_migrate_once(pool: Database) -> None:
    wanted = (*packaged(), Migration(number=len(packaged()) + 1, name="more", sql=SECOND.sql))
    done = await asyncio.gather(*(migrate(pool, wanted=wanted) for _ in range(5)))
    assert sorted(len(applied) for applied in done) == [0, 0, 0, 0, 1]
    async with pool.connection() as connection:
        rows = await (await connection.execute("select count(*) from more")).fetchone()
    assert rows == (1,)


async def test_a_newer_schema_is_refused_with_a_sentence(pool: Database) -> None:
    newer = (*packaged(), Migration(number=len(packaged()) + 1, name="future", sql=b"select 1"))
    await migrate(pool, wanted=newer)
    with pytest.raises(NewerSchemaError, match=r"schema \d+ \(future\).*newer release"):
        await migrate(pool)


async def test_a_changed_migration_is_refused(pool: Database) -> None:
    changed = tuple(
        Migration(number=m.number, name=m.name, sql=m.sql + b"\n-- changed") for m in packaged()
    )
    with pytest.raises(StoreSetupError, match="not the one of this release"):
        await migrate(pool, wanted=changed)


async def test_a_failed_migration_leaves_nothing(pool: Database) -> None:
    number = len(packaged()) + 1
    broken = Migration(number=number, name="broken", sql=b"create table half (id int); select 1/0")
    with pytest.raises(Exception, match="division by zero"):
        await migrate(pool, wanted=(*packaged(), broken))
    async with pool.connection() as connection:
        row = await (await connection.execute("select to_regclass('half')")).fetchone()
    assert row == (None,)


async def test_the_schema_is_made_from_nothing(postgres_server, store_settings) -> None:
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute("drop database if exists from_nothing")
        connection.execute("create database from_nothing")
    opened = Database(
        conninfo=postgres_server.conninfo(database="from_nothing"), settings=store_settings
    )
    await opened.open(wait_seconds=10)
    assert await migrate(opened) == packaged()
    await opened.close()
