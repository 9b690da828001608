"""The intake commit: events, patterns, counters and cursors of a group, in one transaction.

Exactly once: the group's id is the first row that the transaction writes. A second attempt, after
a connection was lost in the middle or during the commit itself, meets that row: it waits for the
first attempt if that is still under way, and reads its result if it was committed.

All writers lock in one order: the group's id, cursors by source, event keys, patterns by
fingerprint, aliases, counters by source, drops. So several daemons never deadlock over intake.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from daemon.store import settle, upserts
from daemon.store.errors import StoreClosedError, StoreError, StoreUnavailableError
from daemon.store.pool import Connection, Database
from daemon.store.prepared import Committed, Group, Prepared
from daemon.store.values import clean, to_json

Cursor = psycopg.AsyncCursor[TupleRow]

CLAIM_ID = "insert into intake_commits (id) values (%s) on conflict do nothing returning id"
READ_RESULT = "select result from intake_commits where id = %s"
WRITE_RESULT = "update intake_commits set result = %s::jsonb where id = %s"

LOCK_CURSORS = """
select source, generation from cursors where source = any(%s::text[]) order by source for update
"""

TAKE_KEYS = """
insert into event_keys (source, key)
select * from unnest(%s::text[], %s::text[])
on conflict do nothing
returning source, key
"""


class Writer:
    """Commits groups. Stateless; any number of them may work at once."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def commit(self, group: Group, *, seconds: float | None = 60.0) -> Committed:
        """Returns when the group is durable, trying again for `seconds` (None: for ever).

        Raises `StoreUnavailableError` when that was not enough: commit the same group again later.
        What PostgreSQL refuses, as data or because it meets a defect (its own, ours, a damaged
        table's), does not hold up the rest: batches are tried one by one, and a refused one is
        counted as dropped. Raises `StoreError` when it refuses even that.
        """
        try:
            return await self._database.retry(
                lambda connection: _commit(connection, group), seconds=seconds
            )
        except (StoreUnavailableError, StoreClosedError):
            raise
        except StoreError as error:
            return await self._commit_apart(group, error, seconds=seconds)

    async def _commit_apart(
        self, group: Group, error: StoreError, *, seconds: float | None
    ) -> Committed:
        if len(group.batches) == 1:
            batch = group.batches[0]
            emptied = Group(id=group.id, batches=(settle.rejected(batch),))
            done = await self._database.retry(
                lambda connection: _commit(connection, emptied), seconds=seconds
            )
            return Committed(fenced=done.fenced, rejected={batch.source: str(error)})
        parts = [
            # The same ids whenever this group is tried again.
            await self.commit(
                Group(id=uuid.uuid5(group.id, str(number)), batches=(batch,)), seconds=seconds
            )
            for number, batch in enumerate(group.batches)
        ]
        redelivered: dict[str, int] = {}
        for part in parts:
            for fingerprint, count in part.redelivered.items():
                redelivered[fingerprint] = redelivered.get(fingerprint, 0) + count
        return Committed(
            redelivered=redelivered,
            fenced=frozenset().union(*(part.fenced for part in parts)),
            rejected={source: why for part in parts for source, why in part.rejected.items()},
        )


async def _commit(connection: Connection, group: Group) -> Committed:
    # Each answer waited for costs a turn of an event loop that folds in between: only the first
    # are, and then all at once.
    async with connection.pipeline():
        claimed = await connection.execute(CLAIM_ID, (group.id,))
        locked = await _lock_cursors(connection, group.batches)
        if await claimed.fetchone() is None:
            return await _earlier_result(connection, group.id)
        fenced = await _fenced(locked, group.batches)
        batches = [batch for batch in group.batches if batch.source not in fenced]
        batches, redelivered = await _without_redelivered(connection, batches)
        await _write(connection, batches)
        if redelivered or fenced:
            result = {"redelivered": redelivered, "fenced": sorted(fenced)}
            await connection.execute(WRITE_RESULT, (to_json(result), group.id))
    return Committed(redelivered=redelivered, fenced=fenced)


async def _write(connection: Connection, batches: Sequence[Prepared]) -> None:
    await upserts.patterns(connection, settle.merge_patterns(batches))
    await upserts.aliases(connection, settle.merge_aliases(batches))
    await upserts.events(connection, batches)
    await upserts.cursors(connection, batches)
    by_source, drops = settle.tallies(batches)
    await upserts.counters(connection, by_source)
    await upserts.drops(connection, drops)


async def _earlier_result(connection: Connection, group_id: uuid.UUID) -> Committed:
    row = await (await connection.execute(READ_RESULT, (group_id,))).fetchone()
    result = row[0] if row is not None else {}
    return Committed(
        redelivered=result.get("redelivered", {}), fenced=frozenset(result.get("fenced", ()))
    )


async def _lock_cursors(connection: Connection, batches: Sequence[Prepared]) -> Cursor | None:
    """Locks the cursors of all that have one, and asks who has them."""
    sources = sorted(
        {
            clean(batch.source)
            for batch in batches
            if batch.cursor is not None or batch.generation is not None
        }
    )
    return await connection.execute(LOCK_CURSORS, (sources,)) if sources else None


async def _fenced(locked: Cursor | None, batches: Sequence[Prepared]) -> frozenset[str]:
    """Sources that somebody else has taken over since."""
    if locked is None:
        return frozenset()
    current: dict[str, int] = dict(await locked.fetchall())
    return frozenset(
        batch.source
        for batch in batches
        if batch.generation is not None
        and batch.generation != current.get(clean(batch.source), batch.generation)
    )


async def _without_redelivered(
    connection: Connection, batches: list[Prepared]
) -> tuple[list[Prepared], dict[str, int]]:
    keys = settle.keys_of(batches)
    if not keys:
        return batches, {}
    cursor = await connection.execute(
        TAKE_KEYS, ([source for source, _ in keys], [key for _, key in keys])
    )
    fresh = {(source, key) for source, key in await cursor.fetchall()}
    return settle.settle(batches, fresh=fresh)
