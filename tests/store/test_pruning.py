"""Patterns that are not seen any more are forgotten, and nothing that is still needed."""

from __future__ import annotations

import asyncio
import datetime as dt
import time

import psycopg
import psycopg.sql
from intake_samples import NOW, batch, delta, event, fingerprint

from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold
from daemon.intake.patterns import PatternTable
from daemon.intake.refresh import Refresh, load_fold
from daemon.intake.rules import load_rules
from daemon.store import incidents, mutes, patterns, pruning, work
from daemon.store.incidents import NewIncident, PatternCount
from daemon.store.partitions import Maintenance
from daemon.store.pool import Database
from daemon.store.prepared import Alias, Group, Prepared
from daemon.store.settings import RetentionSettings, StoreSettings
from daemon.store.writer import Writer
from tiers.contracts import Usage, Verdict
from tiers.vocabulary import Category, Provenance, Severity, SourceKind, Urgency

LONG_AGO = time.time() - 200 * 86_400
RETENTION = RetentionSettings(patterns_days=90)


async def write(pool: Database, *texts: str, last_seen: float = LONG_AGO) -> None:
    """Patterns with an alias each, whose events are not kept any more."""
    sent = Prepared(
        source="s",
        received=0,
        patterns=tuple(
            delta(text, 1, first_seen=last_seen, last_seen=last_seen, rate_at=last_seen)
            for text in texts
        ),
        aliases=tuple(
            Alias(
                source_kind=SourceKind.FILE,
                unit="sshd",
                masked=f"{text} <*>",
                fingerprint=fingerprint(text),
            )
            for text in texts
        ),
    )
    await Writer(database=pool).commit(Group.of([sent]))


async def judge(pool: Database, name: str, *, escalate: bool = True) -> int:
    """A verdict about the pattern with this fingerprint."""
    verdict = Verdict(
        fingerprint=name,
        escalate=escalate,
        probability=0.9,
        severity=Severity.WARNING,
        category=Category.AUTH,
        urgency=Urgency.TODAY,
        usage=Usage(model="m", endpoint="e", prompt_tokens=1, completion_tokens=0, seconds=0.1),
    )
    async with work.begin(pool) as unit:
        number = await patterns.record_verdict(
            unit, verdict=verdict, reason="new", burst=1, correlation="k"
        )
    assert number is not None
    return number


async def known(pool: Database) -> set[str]:
    return {row.pattern async for row in patterns.load(pool)}


def age_verdicts(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update verdicts set at = now() - interval '200 days'")


def rows_of(database: str, table: str) -> int:
    with psycopg.connect(database) as connection:
        query = psycopg.sql.SQL("select count(*) from {}").format(psycopg.sql.Identifier(table))
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


async def test_what_is_unseen_goes_with_all_that_belongs_to_it(
    pool: Database, database: str
) -> None:
    many = [f"p{number}" for number in range(1_200)]  # several transactions
    await write(pool, *many)
    await write(pool, "fresh", last_seen=time.time())
    for text in ("p1", "p2", "fresh"):
        await judge(pool, fingerprint(text))
    age_verdicts(database)
    report = await Maintenance(database=pool, settings=StoreSettings(retention=RETENTION)).run()
    assert report.patterns_deleted == 1_200
    assert await known(pool) == {"fresh"}
    assert (rows_of(database, "pattern_aliases"), rows_of(database, "verdicts")) == (1, 1)
    assert await pruning.prune_patterns(pool, days=90) == 0


async def test_what_is_needed_stays(pool: Database, database: str) -> None:
    kept = {"incident", "muted", "judged lately", "being judged", "event"}
    await write(pool, *kept, "gone", "mute is over")
    now = dt.datetime.now(tz=dt.UTC)
    async with work.begin(pool) as unit:
        opened = await incidents.open_or_join(
            unit,
            NewIncident(
                severity=Severity.WARNING,
                category=Category.SERVICE,
                title="t",
                unit="u",
                correlation="k",
                at=now,
            ),
            reopen_seconds=60,
        )
        count = PatternCount(
            fingerprint=fingerprint("incident"), count=1, first_at=now, last_at=now
        )
        await incidents.add_patterns(unit, incident_id=opened.incident.id, counts=[count])
        for text, expires in (("muted", None), ("mute is over", now - dt.timedelta(days=1))):
            await mutes.add(
                unit, reason="r", created_by="me", fingerprint=fingerprint(text), expires_at=expires
            )
    await judge(pool, fingerprint("judged lately"))
    # An old log that was read today: its pattern's events are still kept.
    read = Prepared(source="s", received=1, stored=(event("event", occurred_at=LONG_AGO),))
    await Writer(database=pool).commit(Group.of([read]))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "update patterns set judge_until = now() + interval '1 minute' where pattern = %s",
            ("being judged",),
        )
    assert await pruning.prune_patterns(pool, days=90) == 2
    assert await known(pool) == kept


async def test_nobody_waits_for_a_pattern_that_somebody_works_on(
    pool: Database, database: str
) -> None:
    await write(pool, "held", "gone")
    with psycopg.connect(database) as holder:
        holder.execute("select from patterns where pattern = 'held' for update")
        assert await pruning.prune_patterns(pool, days=90) == 1
    assert await known(pool) == {"held"}


async def test_verdicts_go_when_they_are_old_and_replaced(pool: Database, database: str) -> None:
    await write(pool, "a", "b", last_seen=time.time())
    for _ in range(3):
        newest = await judge(pool, fingerprint("a"))
    await judge(pool, fingerprint("b"))
    assert await pruning.prune_verdicts(pool, days=90) == 0
    age_verdicts(database)
    assert await pruning.prune_verdicts(pool, days=90) == 2
    async with pool.connection() as connection:
        (row,) = await patterns.get(connection, [fingerprint("a")])
    assert row.verdict_id == newest
    assert rows_of(database, "verdicts") == 2


def _line(text: str) -> Batch:
    at = time.time()
    made = Event(text, "app", SourceKind.FILE, "s", Provenance.TEXT, at, None, None, None)
    return Batch(source="s", events=(made,), cursor=None)


async def test_a_running_daemon_survives_that_what_it_knows_was_pruned(
    pool: Database, database: str
) -> None:
    table = PatternTable()
    fold = Fold(table=table, rules=load_rules(()), limits=Limits(), clock=time.time)
    writer = Writer(database=pool)

    async def take(text: str) -> str:
        folded = fold.batch(_line(text))
        await writer.commit(Group.of([folded.prepared]))
        (name,) = folded.lines
        assert name is not None
        return name

    refresh = Refresh(database=pool, fold=fold, changed=asyncio.Event())
    name = await take("the door of rack 7 was opened")
    quiet = await take("the light of rack 7 was lit")
    old = await judge(pool, name)
    await judge(pool, quiet, escalate=False)
    await refresh.look()
    assert fold.states[name].verdict is not None
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("delete from events")
        connection.execute("update patterns set last_seen = now() - interval '200 days'")
    age_verdicts(database)
    assert await pruning.prune_patterns(pool, days=90) == 2
    await refresh.look()
    assert await take("the door of rack 8 was opened") == name
    assert await take("the light of rack 8 was lit") == quiet
    # The occurrence belongs on an incident by a verdict that only the daemon still knows: another
    # one is asked for, or nobody would ever count it.
    row, calm = await _rows(pool, name, quiet)
    assert (row.verdict_id, row.judge_reason, row.unattached) == (None, "new", 1)
    assert (calm.judge_reason, calm.unattached) == (None, 0)
    again = await judge(pool, name)
    assert again > old
    await refresh.look()
    verdict = fold.states[name].verdict
    assert verdict is not None
    assert verdict.verdict_id == again
    assert await take("the door of rack 9 was opened") == name
    (row,) = await _rows(pool, name)
    assert (row.verdict_id, row.judge_reason) == (again, None)
    # A daemon that starts now learns it like any other.
    fresh = Fold(table=PatternTable(), rules=load_rules(()), limits=Limits(), clock=time.time)
    assert await load_fold(database=pool, table=PatternTable(), fold=fresh, max_patterns=100) == 2


async def _rows(pool: Database, *names: str) -> list[patterns.PatternRow]:
    async with pool.connection() as connection:
        found = {row.fingerprint: row for row in await patterns.get(connection, names)}
    return [found[name] for name in names]


async def test_after_a_flood_there_is_room_to_learn(pool: Database) -> None:
    many = tuple(delta(f"flood {n}", 1, unit=f"u{n}", last_seen=NOW + n) for n in range(150))
    await Writer(database=pool).commit(
        Group.of([Prepared(source="s", received=0, patterns=many), batch(text="x")])
    )
    table = PatternTable(max_patterns=100)
    fold = Fold(table=table, rules=load_rules(()), limits=Limits(), clock=time.time)
    assert await load_fold(database=pool, table=table, fold=fold, max_patterns=100) == 80
    assert len(table) == len(fold.states) == 80
    assert table.reduce(SourceKind.FILE, "app", "something new").text == "something new"
    assert table.overflowed == 0
