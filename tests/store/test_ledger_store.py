"""The ledger in PostgreSQL: no gaps under concurrency, nothing changed, tampering found."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from daemon.ledger import NewEntry
from daemon.store import ledger, work
from daemon.store.pool import Database


async def record(pool: Database, number: int, body: dict | None = None) -> None:
    async with work.begin(pool) as unit:
        unit.record(
            NewEntry(
                kind="test", actor=f"a{number}", incident_id=number % 3, body=body or {"n": number}
            )
        )


async def test_concurrent_appends_leave_no_gap(pool: Database) -> None:
    await asyncio.gather(*(record(pool, number) for number in range(60)))
    found = await ledger.verify(pool)
    assert found.holds
    assert found.entries == found.head.seq == 60


async def test_a_rolled_back_transaction_leaves_nothing(pool: Database) -> None:
    await record(pool, 1)

    async def fail() -> None:
        async with work.begin(pool) as unit:
            unit.record(NewEntry(kind="test", actor="a", body={}))
            await ledger.append(unit.connection, [NewEntry(kind="test", actor="a", body={})])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await record(pool, 2)
    assert (await ledger.verify(pool)).head.seq == 2


@pytest.mark.parametrize(
    "body",
    [
        {"float": 1e22, "small": 1e-7, "zero": -0.0, "nan": float("nan")},
        {"nul": "a\x00b", "surrogate": "\udc80", "huge": 2**80, "backslash": "\\u0000"},
        {"é": ["ü", {"deep": [None, True]}], "": ""},
    ],
)
async def test_any_body_survives_the_database(pool: Database, body: dict) -> None:
    await record(pool, 1, body)
    assert (await ledger.verify(pool)).holds
    async with pool.connection() as connection:
        assert (await ledger.read(connection))[0].content


@pytest.mark.parametrize(
    "statement", ["update ledger set actor = 'x'", "delete from ledger", "truncate ledger"]
)
async def test_the_past_cannot_be_changed_by_mistake(
    pool: Database, database: str, statement: str
) -> None:
    await record(pool, 1)
    with pytest.raises(Exception, match="permission denied"):
        async with pool.connection() as connection:
            await connection.execute(statement)
    with (
        psycopg.connect(database) as administrator,
        pytest.raises(psycopg.errors.RaiseException, match="append-only"),
    ):
        administrator.execute(statement)


@pytest.mark.parametrize(
    ("tampering", "where"),
    [
        ("update ledger set actor = 'x' where seq = 4", 4),
        ("update ledger set body = '{\"n\": 3}' where seq = 4", 4),
        ("update ledger set at = at + interval '1 us' where seq = 4", 4),
        ("delete from ledger where seq = 4", 5),
        ("update ledger set incident_id = null where seq = 4", 4),
    ],
)
async def test_tampering_is_found(
    pool: Database, database: str, tampering: str, where: int
) -> None:
    for number in range(8):
        await record(pool, number)
    kept = (await ledger.verify(pool)).head
    with psycopg.connect(database, autocommit=True) as intruder:
        intruder.execute("alter table ledger disable trigger ledger_append_only")
        intruder.execute(tampering)
    found = await ledger.verify(pool, expected=kept)
    assert not found.holds
    assert found.breaks[0].seq == where


async def test_a_cut_off_end_is_found_with_a_kept_head(pool: Database, database: str) -> None:
    for number in range(8):
        await record(pool, number)
    kept = (await ledger.verify(pool)).head
    with psycopg.connect(database, autocommit=True) as intruder:
        intruder.execute("alter table ledger disable trigger ledger_append_only")
        intruder.execute("delete from ledger where seq > 6")
    assert (await ledger.verify(pool)).holds
    assert not (await ledger.verify(pool, expected=kept)).holds


async def test_reading_by_incident_kind_and_page(pool: Database) -> None:
    for number in range(9):
        await record(pool, number)
    async with pool.connection() as connection:
        of_one = await ledger.read(connection, incident_id=1)
        newest = await ledger.latest(connection, limit=3)
        older = await ledger.latest(connection, before=newest[-1].seq, limit=3, kinds=["test"])
        assert await ledger.read(connection, kinds=["other"]) == []
    assert [entry.seq for entry in of_one] == [2, 5, 8]
    assert [entry.seq for entry in newest + older] == [9, 8, 7, 6, 5, 4]
