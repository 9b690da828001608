"""What the intake commit writes arrives as it was sent, however much and whatever it is."""

from __future__ import annotations

import math
from types import MappingProxyType

import pytest
from intake_samples import NOW, batch, delta, event, fingerprint

from daemon.store import cursors, patterns, upserts
from daemon.store.pool import Database
from daemon.store.prepared import Group, Prepared
from daemon.store.writer import Writer


async def fetch(pool: Database, statement: bytes):
    async with pool.connection() as connection:
        return await (await connection.execute(statement)).fetchall()


async def commit(pool: Database, *batches: Prepared) -> None:
    await Writer(database=pool).commit(Group.of(batches))


def prepared(*texts: str, **changes) -> Prepared:
    return Prepared(
        source="s",
        received=len(texts),
        stored=tuple(event(text, **changes) for text in texts),
        patterns=tuple(delta(text, 1) for text in set(texts)),
    )


@pytest.mark.parametrize(
    ("rows", "characters"), [(3, 1_000_000), (1_000, 100), (1, 1), (2_000, 4_000_000)]
)
async def test_events_arrive_in_order_in_however_many_statements(
    pool: Database, monkeypatch: pytest.MonkeyPatch, rows: int, characters: int
) -> None:
    monkeypatch.setattr(upserts, "_MOST_ROWS", rows)
    monkeypatch.setattr(upserts, "_MOST_CHARACTERS", characters)
    texts = [f"line {number}" for number in range(25)]
    await commit(pool, prepared(*texts[:10]), prepared(*texts[10:]))
    assert await fetch(pool, b"select text from events order by id") == [(text,) for text in texts]


async def test_values_arrive_as_they_are(pool: Database) -> None:
    attributes = MappingProxyType({"path": 'C:\\x "y"\n', "nul": "a\x00b", "half": "\ud800"})
    one = event("tab\there 'quoted' \\u0000 \u2028", priority=None, attributes=attributes)
    await commit(pool, Prepared(source="s", received=1, stored=(one,)))
    ((text, priority, stored),) = await fetch(
        pool, b"select text, priority, attributes from events"
    )
    assert (text, priority) == (one.text, None)
    assert stored == {"path": 'C:\\x "y"\n', "nul": "a\N{REPLACEMENT CHARACTER}b", "half": "\ufffd"}


async def test_rates_are_exact_and_those_that_are_no_numbers_are_none(pool: Database) -> None:
    rates = {"third": 1 / 3, "tiny": 5e-324, "nan": math.nan, "endless": math.inf}
    deltas = tuple(delta(name, 1, rate=rate, usual_gap=rate) for name, rate in rates.items())
    await commit(pool, Prepared(source="s", received=4, folded=4, patterns=deltas))
    rows = await fetch(pool, b"select pattern, rate, usual_gap from patterns")
    assert {name: (rate, gap) for name, rate, gap in rows} == {
        "third": (1 / 3, 1 / 3),
        "tiny": (5e-324, 5e-324),
        "nan": (0.0, None),
        "endless": (0.0, None),
    }


async def test_top_values_stay_when_none_come(pool: Database) -> None:
    values = (("user", "ro\x00ot", 3), ("ip", "192.0.2.1", 1))
    for top_values in (values, ()):
        one = delta("p", 1, top_values=top_values)
        await commit(pool, Prepared(source="s", received=1, folded=1, patterns=(one,)))
    assert await fetch(pool, b"select count, top_values from patterns") == [
        (2, [["user", "ro\N{REPLACEMENT CHARACTER}ot", 3], ["ip", "192.0.2.1", 1]])
    ]


async def test_a_fenced_source_leaves_neither_rows_nor_keys(pool: Database) -> None:
    """The keys of others in the same group are taken all the same."""
    async with pool.transaction() as connection:
        await cursors.take(connection, source="mine", owner="a")
        second = await cursors.take(connection, source="mine", owner="b")
    lost = batch(source="mine", cursor={"at": 1}, generation=second.generation - 1, keys="k")
    await commit(pool, lost, batch(source="other", keys="k"))
    assert await fetch(pool, b"select distinct source from event_keys") == [("other",)]
    assert await fetch(pool, b"select source, received::int from intake_counters") == [
        ("other", 10)
    ]


async def test_a_claim_leaves_later_commits_of_its_connection_durable(pool: Database) -> None:
    await commit(pool, batch(text="p"))
    async with pool.connection() as connection:
        await connection.execute("set synchronous_commit = local")
        claimed = await patterns.claim_to_judge(connection, owner="a", limit=5, lease_seconds=60)
        kept = await (await connection.execute("show synchronous_commit")).fetchone()
        await connection.execute("reset synchronous_commit")
    assert [row.fingerprint for row in claimed] == [fingerprint("p")]
    assert claimed[0].last_seen.timestamp() == NOW + 1
    assert kept == ("local",)
