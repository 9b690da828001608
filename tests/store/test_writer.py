"""The intake commit: exact counts under redelivery, rivals, hostile text and repeated attempts."""

from __future__ import annotations

import asyncio
import dataclasses

import intake_samples as samples
import pytest

from daemon.store import cursors
from daemon.store.errors import StoreClosedError, StoreError
from daemon.store.pool import Database
from daemon.store.prepared import Alias, Group, Prepared
from daemon.store.writer import Writer
from tiers.vocabulary import SourceKind


async def fetch(pool: Database, statement: bytes):
    async with pool.connection() as connection:
        return await (await connection.execute(statement)).fetchall()


async def totals(pool: Database) -> tuple[int, ...]:
    rows = await fetch(
        pool,
        b"""select coalesce(sum(received),0)::int, coalesce(sum(stored),0)::int,
        coalesce(sum(folded),0)::int, coalesce(sum(dropped),0)::int from intake_counters""",
    )
    return rows[0]


async def test_a_group_is_stored_counted_and_its_cursor_kept(pool: Database) -> None:
    writer = Writer(database=pool)
    await writer.commit(
        Group.of(
            [samples.batch(dropped=5, cursor={"offset": 1}), samples.batch(cursor={"offset": 2})]
        )
    )
    assert await totals(pool) == (25, 2, 18, 5)
    assert await fetch(pool, b"select count(*) from events") == [(2,)]
    assert await fetch(pool, b"select count, unattached, judge_reason from patterns") == [
        (20, 20, "new")
    ]
    assert await fetch(pool, b"select cursor from cursors") == [({"offset": 2},)]
    assert await fetch(pool, b"select reason, count from drops") == [("muted-storm", 5)]
    assert await fetch(pool, b"select count(*) from events_default") == [(0,)]


async def test_the_same_group_again_changes_nothing(pool: Database) -> None:
    writer = Writer(database=pool)
    group = Group.of([samples.batch(keys="a")])
    again = Group.of([samples.batch(keys="a")])
    assert (await writer.commit(group)).redelivered == {}
    assert (await writer.commit(group)).redelivered == {}
    first = await writer.commit(again)
    assert first.redelivered == {samples.fingerprint("Failed password"): 10}
    assert await writer.commit(again) == first
    assert await totals(pool) == (20, 1, 9, 10)


async def test_the_same_group_at_once_counts_once(pool: Database) -> None:
    writer = Writer(database=pool)
    group = Group.of([samples.batch()])
    await asyncio.gather(*(writer.commit(group) for _ in range(8)))
    assert await totals(pool) == (10, 1, 9, 0)


async def test_redelivered_events_are_dropped_and_the_accounting_closes(pool: Database) -> None:
    writer = Writer(database=pool)
    await writer.commit(Group.of([samples.batch(stored=2, folded=3, keys="a")]))
    mixed = samples.batch(stored=1, folded=4, keys="a")  # 1 + 3 were there, 1 is fresh
    done = await writer.commit(Group.of([mixed, samples.batch(stored=1, folded=0, keys="a")]))
    assert done.redelivered == {samples.fingerprint("Failed password"): 5}
    assert await totals(pool) == (11, 2, 4, 5)
    assert await fetch(pool, b"select count from patterns") == [(6,)]
    assert await fetch(pool, b"select reason, count from drops") == [("redelivered", 5)]


async def test_a_key_twice_in_one_batch_counts_once(pool: Database) -> None:
    one = samples.batch(stored=1, folded=0, keys="a")
    twice = dataclasses.replace(
        one, received=2, stored=one.stored * 2, patterns=(samples.delta("Failed password", 2),)
    )
    await Writer(database=pool).commit(Group.of([twice]))
    assert await totals(pool) == (2, 1, 0, 1)
    assert await fetch(pool, b"select count(*) from events") == [(1,)]


async def test_whoever_lost_the_source_cannot_move_its_cursor(pool: Database) -> None:
    writer = Writer(database=pool)
    source = "file:/var/log/auth.log"
    async with pool.transaction() as connection:
        old = await cursors.take(connection, source=source, owner="one")
    assert old.cursor is None
    await writer.commit(Group.of([samples.batch(cursor={"n": 1}, generation=old.generation)]))
    async with pool.transaction() as connection:
        new = await cursors.take(connection, source=source, owner="two")
    assert new.cursor == {"n": 1}
    await writer.commit(Group.of([samples.batch(cursor={"n": 5}, generation=new.generation)]))
    stale = samples.batch(cursor={"n": 2}, generation=old.generation)
    other = samples.batch(source="mqtt", text="other")
    done = await writer.commit(Group.of([stale, other]))
    assert done.fenced == {source}
    assert await fetch(pool, b"select cursor from cursors") == [({"n": 5},)]
    assert await totals(pool) == (30, 3, 27, 0)  # two of the file's, one of mqtt's


@pytest.mark.parametrize(
    "text",
    ["nul \x00 inside", "lone \udc80 surrogate", "\\u0000 spelled", "tab\tand\nline", "🦀" * 9],
)
async def test_hostile_text_is_stored(pool: Database, text: str) -> None:
    attributes = {"k\x00": text, "n": "\\u0000"}
    done = await Writer(database=pool).commit(
        Group.of([samples.batch(text="x", keys=text, attributes=attributes, cursor={"at": text})])
    )
    assert done.rejected == {}
    assert await totals(pool) == (10, 1, 9, 0)


@pytest.mark.parametrize("when", [float("nan"), float("inf"), -1e300, 1e300, 0.0])
async def test_impossible_times_are_stored(pool: Database, when: float) -> None:
    done = await Writer(database=pool).commit(Group.of([samples.batch(occurred_at=when)]))
    assert done.rejected == {}
    assert await fetch(pool, b"select count(*) from events") == [(1,)]


async def test_a_batch_that_is_refused_holds_nothing_up(pool: Database) -> None:
    writer = Writer(database=pool)
    bad = samples.batch(source="bad", cursor={"n": 1}, priority=100_000)  # no smallint
    good = samples.batch(source="good", cursor={"n": 1})
    group = Group.of([bad, good])
    done = await writer.commit(group)
    assert set(done.rejected) == {"bad"}
    await writer.commit(group)  # a repeated attempt finds the parts committed
    assert await totals(pool) == (20, 1, 9, 10)
    assert await fetch(pool, b"select source, reason, count from drops") == [
        ("bad", "rejected", 10)
    ]
    assert len(await fetch(pool, b"select 1 from cursors")) == 2


DAMAGED = (
    b"""create function damaged() returns trigger language plpgsql as $$
    begin raise exception 'invalid page in block 7' using errcode = 'XX001'; end $$""",
    b"""create trigger damaged before insert on events for each row
    when (new.source = 'bad') execute function damaged()""",
)


async def test_what_a_damaged_table_refuses_is_dropped_and_counted(pool: Database) -> None:
    async with pool.connection() as connection:
        for statement in DAMAGED:
            await connection.execute(statement)
    bad = samples.batch(source="bad", cursor={"n": 1})
    good = samples.batch(source="good", cursor={"n": 1})
    done = await Writer(database=pool).commit(Group.of([bad, good]))
    assert "invalid page" in done.rejected["bad"]
    assert set(done.rejected) == {"bad"}
    assert await totals(pool) == (20, 1, 9, 10)
    assert len(await fetch(pool, b"select 1 from cursors")) == 2


async def test_where_nothing_can_be_stored_nothing_is_dropped(pool: Database) -> None:
    async with pool.connection() as connection:
        await connection.execute(b"alter table intake_commits rename to elsewhere")
    group = Group.of([samples.batch(source="a"), samples.batch(source="b")])
    with pytest.raises(StoreError, match="intake_commits"):
        await Writer(database=pool).commit(group)
    async with pool.connection() as connection:
        await connection.execute(b"alter table elsewhere rename to intake_commits")
    assert (await Writer(database=pool).commit(group)).rejected == {}
    assert await totals(pool) == (20, 2, 18, 0)


async def test_a_closed_store_drops_nothing(pool: Database) -> None:
    await pool.close()
    with pytest.raises(StoreClosedError):
        await Writer(database=pool).commit(Group.of([samples.batch(), samples.batch()]))


async def test_an_alias_to_nothing_is_left_out(pool: Database) -> None:
    known = Alias(
        source_kind=SourceKind.FILE,
        unit="sshd",
        masked="m",
        fingerprint=samples.fingerprint("Failed password"),
    )
    lost = dataclasses.replace(known, masked="n", fingerprint="0" * 16)
    done = await Writer(database=pool).commit(
        Group.of([dataclasses.replace(samples.batch(), aliases=(known, lost, known))])
    )
    assert done.rejected == {}
    assert await fetch(pool, b"select masked from pattern_aliases") == [("m",)]


async def test_many_writers_over_the_same_patterns_do_not_deadlock(pool: Database) -> None:
    writer = Writer(database=pool)

    async def one(number: int) -> None:
        for turn in range(5):
            texts = [f"pattern {(number * 7 + turn * 3 + i) % 12}" for i in range(12)]
            await writer.commit(
                Group.of(
                    [samples.batch(source=f"s{i % 3}", text=text) for i, text in enumerate(texts)]
                )
            )

    await asyncio.gather(*(one(number) for number in range(8)))
    assert await totals(pool) == (4800, 480, 4320, 0)
    assert await fetch(pool, b"select sum(count)::int from patterns") == [(4800,)]


def test_accounting_that_does_not_close_is_a_defect() -> None:
    with pytest.raises(ValueError, match="received 3, stored 0, folded 1, dropped 0"):
        Prepared(source="s", received=3, folded=1)
