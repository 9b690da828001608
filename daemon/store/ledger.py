"""The ledger's table: appended to under one lock, never changed.

Numbers have no gap and hashes form a chain, so appending is serial: the lock is held until the
commit. It is therefore the last lock of a transaction (see `daemon.store.work`), and many entries
are appended at once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Sequence

from psycopg.rows import class_row

from daemon.ledger import Break, Entry, Head, NewEntry, Verifier, link
from daemon.store.pool import Connection, Database

_LOCK = 0x7472_6961_6765_6403  # "triaged", 3

# Two statements in one message: the second one's snapshot begins after the lock was granted.
LOCK_AND_HEAD = f"""
select pg_advisory_xact_lock({_LOCK});
select l.seq, l.hash, clock_timestamp()
from (select 1) one left join (select seq, hash from ledger order by seq desc limit 1) l on true
"""  # noqa: S608 (a constant)
NEWEST = "select seq, hash from ledger order by seq desc limit 1"
INSERT = """
insert into ledger (seq, at, kind, actor, incident_id, body, prev_hash, hash)
select seq, at, kind, actor, incident_id, body::json, prev_hash, hash
from unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::text[],
            %s::bytea[], %s::bytea[])
  as t (seq, at, kind, actor, incident_id, body, prev_hash, hash)
"""
# Whoever tampers may put in what Python has no value for (a time without end, nothing at all): it
# has to be read all the same, so that it is found.
COLUMNS = """
seq, least(greatest(at, '0001-01-01Z'), '9999-12-31Z') as at, coalesce(kind, '') as kind,
coalesce(actor, '') as actor, incident_id, coalesce(body::text, '') as body,
coalesce(prev_hash, '') as prev_hash, coalesce(hash, '') as hash
"""
READ = f"""
select {COLUMNS} from ledger
where (%(after)s::bigint is null or seq > %(after)s)
  and (%(incident)s::bigint is null or incident_id = %(incident)s)
  and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
order by seq limit %(limit)s
"""  # noqa: S608 (constants)
LATEST = f"""
select {COLUMNS} from ledger
where (%(before)s::bigint is null or seq < %(before)s)
  and (%(incident)s::bigint is null or incident_id = %(incident)s)
  and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
order by seq desc limit %(limit)s
"""  # noqa: S608
# A kind names its family too (action: action_intent, action_started, ...), an actor those whom it
# speaks for (operator: operator:alice; tier: tier/review).
SEARCH = f"""
select {COLUMNS} from ledger
where (%(before)s::bigint is null or seq < %(before)s)
  and (%(since)s::timestamptz is null or at >= %(since)s)
  and (%(incident)s::bigint is null or incident_id = %(incident)s)
  and (%(kinds)s::text[] is null
       or exists (select from unnest(%(kinds)s::text[]) k
                  where kind = k or starts_with(kind, k || '_')))
  and (%(actors)s::text[] is null
       or exists (select from unnest(%(actors)s::text[]) a
                  where actor = a or starts_with(actor, a || ':') or starts_with(actor, a || '/')))
order by seq desc limit %(limit)s
"""  # noqa: S608
_PAGE = 5_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries somebody looks for. What is None or empty does not matter."""

    before: int | None = None
    since: dt.datetime | None = None
    incident_id: int | None = None
    kinds: Sequence[str] = ()
    actors: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What `verify` found. `head` is worth keeping elsewhere: it is what shows a cut-off end."""

    entries: int
    head: Head
    breaks: tuple[Break, ...]

    @property
    def holds(self) -> bool:
        return not self.breaks


async def append(connection: Connection, entries: Sequence[NewEntry]) -> tuple[Entry, ...]:
    """Appends in order, in the caller's transaction, of which it is the last act.

    Everything else that the transaction locks has to be locked already, or transactions that
    append may wait for each other in a circle. Prefer `daemon.store.work`, which sees to that.
    """
    if not entries:
        return ()
    cursor = await connection.execute(LOCK_AND_HEAD)
    cursor.nextset()
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101
    head = Head() if row[0] is None else Head(seq=row[0], hash=bytes(row[1]))
    linked = []
    for new in entries:
        entry = link(new, after=head, now=row[2])
        linked.append(entry)
        head = Head(seq=entry.seq, hash=entry.hash)
    await connection.execute(
        INSERT,
        (
            [entry.seq for entry in linked],
            [entry.at for entry in linked],
            [entry.kind for entry in linked],
            [entry.actor for entry in linked],
            [entry.incident_id for entry in linked],
            [entry.body for entry in linked],
            [entry.prev_hash for entry in linked],
            [entry.hash for entry in linked],
        ),
    )
    return tuple(linked)


async def head(connection: Connection) -> Head:
    """The end of the chain as it is now."""
    row = await (await connection.execute(NEWEST)).fetchone()
    return Head() if row is None else Head(seq=row[0], hash=bytes(row[1]))


async def read(
    connection: Connection,
    *,
    after: int | None = None,
    incident_id: int | None = None,
    kinds: Sequence[str] | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Entries in order, those with a number above `after`: for export, timelines and following."""
    async with connection.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(
            READ,
            {
                "after": after,
                "incident": incident_id,
                "kinds": None if kinds is None else list(kinds),
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def latest(
    connection: Connection,
    *,
    before: int | None = None,
    incident_id: int | None = None,
    kinds: Sequence[str] | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The newest entries first, those with a number below `before`: for listings, page by page."""
    async with connection.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(
            LATEST,
            {
                "before": before,
                "incident": incident_id,
                "kinds": None if kinds is None else list(kinds),
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def search(connection: Connection, wanted: Wanted, *, limit: int = 100) -> list[Entry]:
    """The newest entries first, of kinds and actors or of their families."""
    async with connection.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(
            SEARCH,
            {
                "before": wanted.before,
                "since": wanted.since,
                "incident": wanted.incident_id,
                "kinds": list(wanted.kinds) or None,
                "actors": list(wanted.actors) or None,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def export(database: Database) -> AsyncIterator[Entry]:
    """Every entry in order, page by page; no transaction stays open meanwhile."""
    after = 0
    while True:
        async with database.connection() as connection:
            page = await read(connection, after=after, limit=_PAGE)
        for entry in page:
            yield entry
        if len(page) < _PAGE:
            return
        after = page[-1].seq


async def verify(database: Database, *, expected: Head | None = None) -> Verification:
    """Walks the whole chain. `expected` is a head that was kept elsewhere."""
    verifier = Verifier(expected=expected)
    entries = 0
    async for entry in export(database):
        verifier.walk(entry)
        entries += 1
    breaks = verifier.finish()
    return Verification(entries=entries, head=verifier.head, breaks=breaks)
