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

from daemon.store import settle
from daemon.store.errors import StoreClosedError, StoreError, StoreUnavailableError
from daemon.store.pool import Connection, Database
from daemon.store.prepared import Committed, Group, PatternDelta, Prepared
from daemon.store.values import clean, moment, to_json

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

# Counts are added; the spread of times widens; rates are the newest sender's. A request for a
# verdict stays until there is one, and "new" is no request once there is a verdict. A floor never
# falls, whichever daemon of several sets it.
_RANK = "array_position(array['info','notice','warning','critical'], {})"
STORED, SENT = _RANK.format("p.floor"), _RANK.format("excluded.floor")
UPSERT_PATTERNS = f"""
insert into patterns as p
  (fingerprint, source_kind, unit, pattern, sample, provenance, count, unattached, first_seen,
   last_seen, rate, rate_at, usual_gap, burst, top_values, floor, rule, correlation, judge_reason)
select fingerprint, source_kind, unit, pattern, sample, provenance, count, unattached, first_seen,
       last_seen, rate, rate_at, usual_gap, burst, top_values::jsonb, floor, rule, correlation,
       judge_reason
from unnest(
  %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
  %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::float8[], %s::timestamptz[],
  %s::float8[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
) with ordinality as t
  (fingerprint, source_kind, unit, pattern, sample, provenance, count, unattached, first_seen,
   last_seen, rate, rate_at, usual_gap, burst, top_values, floor, rule, correlation, judge_reason,
   position)
order by position
on conflict (fingerprint) do update set
  pattern      = excluded.pattern,
  count        = p.count + excluded.count,
  unattached   = p.unattached + excluded.unattached,
  first_seen   = least(p.first_seen, excluded.first_seen),
  last_seen    = greatest(p.last_seen, excluded.last_seen),
  rate         = case when excluded.rate_at >= p.rate_at then excluded.rate else p.rate end,
  rate_at      = greatest(p.rate_at, excluded.rate_at),
  usual_gap    = coalesce(excluded.usual_gap, p.usual_gap),
  burst        = greatest(p.burst, excluded.burst),
  top_values   = case when excluded.top_values = '[]' then p.top_values
                      else excluded.top_values end,
  floor        = case when {STORED} > {SENT} then p.floor else excluded.floor end,
  rule         = case when {STORED} > {SENT} then p.rule
                      else coalesce(excluded.rule, p.rule) end,
  correlation  = coalesce(excluded.correlation, p.correlation),
  judge_reason = case when excluded.judge_reason = 'new' and p.verdict_id is not null
                      then p.judge_reason
                      else coalesce(p.judge_reason, excluded.judge_reason) end
"""  # noqa: S608 (constants)

UPSERT_ALIASES = """
insert into pattern_aliases as a (source_kind, unit, masked, fingerprint)
select t.source_kind, t.unit, t.masked, t.fingerprint
from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) with ordinality
  as t (source_kind, unit, masked, fingerprint, position)
join patterns using (fingerprint)
order by position
on conflict (source_kind, unit, masked) do update set fingerprint = excluded.fingerprint
where a.fingerprint <> excluded.fingerprint
"""

COPY_EVENTS = """
copy events (occurred_at, source, source_kind, unit, provenance, fingerprint, priority, text,
             attributes) from stdin
"""

UPSERT_CURSORS = """
insert into cursors as c (source, cursor, generation)
select source, cursor::jsonb, generation
from unnest(%s::text[], %s::text[], %s::bigint[]) with ordinality
  as t (source, cursor, generation, position)
order by position
on conflict (source) do update set cursor = excluded.cursor, updated_at = now()
"""

UPSERT_COUNTERS = """
insert into intake_counters as c (source, received, stored, folded, dropped)
select source, received, stored, folded, dropped
from unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) with ordinality
  as t (source, received, stored, folded, dropped, position)
order by position
on conflict (source) do update set
  received = c.received + excluded.received, stored = c.stored + excluded.stored,
  folded = c.folded + excluded.folded, dropped = c.dropped + excluded.dropped
"""

UPSERT_DROPS = """
insert into drops as d (source, reason, count)
select source, reason, count
from unnest(%s::text[], %s::text[], %s::bigint[]) with ordinality
  as t (source, reason, count, position)
order by position
on conflict (source, reason) do update set count = d.count + excluded.count, last_at = now()
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
    cursor = await connection.execute(CLAIM_ID, (group.id,))
    if await cursor.fetchone() is None:
        return await _earlier_result(connection, group.id)
    fenced = await _fenced(connection, group.batches)
    batches = [batch for batch in group.batches if batch.source not in fenced]
    batches, redelivered = await _without_redelivered(connection, batches)
    await _write_patterns(connection, settle.merge_patterns(batches))
    await _write_aliases(connection, batches)
    await _copy_events(connection, batches)
    await _write_cursors(connection, batches)
    await _count(connection, batches)
    if redelivered or fenced:
        result = {"redelivered": redelivered, "fenced": sorted(fenced)}
        await connection.execute(WRITE_RESULT, (to_json(result), group.id))
    return Committed(redelivered=redelivered, fenced=fenced)


async def _earlier_result(connection: Connection, group_id: uuid.UUID) -> Committed:
    row = await (await connection.execute(READ_RESULT, (group_id,))).fetchone()
    result = row[0] if row is not None else {}
    return Committed(
        redelivered=result.get("redelivered", {}), fenced=frozenset(result.get("fenced", ()))
    )


async def _fenced(connection: Connection, batches: Sequence[Prepared]) -> frozenset[str]:
    """Sources that somebody else has taken over since. Locks the cursors of all."""
    sources = sorted(
        {
            clean(batch.source)
            for batch in batches
            if batch.cursor is not None or batch.generation is not None
        }
    )
    if not sources:
        return frozenset()
    cursor = await connection.execute(LOCK_CURSORS, (sources,))
    current: dict[str, int] = dict(await cursor.fetchall())
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


async def _write_patterns(connection: Connection, deltas: Sequence[PatternDelta]) -> None:
    if not deltas:
        return
    await connection.execute(
        UPSERT_PATTERNS,
        (
            [delta.fingerprint for delta in deltas],
            [delta.source_kind.value for delta in deltas],
            [clean(delta.unit) for delta in deltas],
            [clean(delta.pattern) for delta in deltas],
            [clean(delta.sample) for delta in deltas],
            [delta.provenance.value for delta in deltas],
            [delta.count for delta in deltas],
            [delta.unattached for delta in deltas],
            [moment(delta.first_seen) for delta in deltas],
            [moment(delta.last_seen) for delta in deltas],
            [delta.rate for delta in deltas],
            [moment(delta.rate_at) for delta in deltas],
            [delta.usual_gap for delta in deltas],
            [delta.burst for delta in deltas],
            [to_json(delta.top_values) for delta in deltas],
            [delta.floor.value for delta in deltas],
            [delta.rule for delta in deltas],
            [None if delta.correlation is None else clean(delta.correlation) for delta in deltas],
            [_asks(delta) for delta in deltas],
        ),
    )


def _asks(delta: PatternDelta) -> str | None:
    """Why a verdict is asked for. "new" is no request where there is a verdict."""
    return delta.judge_reason or ("new" if delta.rests_on_verdict else None)


async def _write_aliases(connection: Connection, batches: Sequence[Prepared]) -> None:
    aliases = settle.merge_aliases(batches)
    if aliases:
        await connection.execute(
            UPSERT_ALIASES,
            (
                [alias.source_kind.value for alias in aliases],
                [clean(alias.unit) for alias in aliases],
                [clean(alias.masked) for alias in aliases],
                [alias.fingerprint for alias in aliases],
            ),
        )


async def _copy_events(connection: Connection, batches: Sequence[Prepared]) -> None:
    if not any(batch.stored for batch in batches):
        return
    async with connection.cursor() as cursor, cursor.copy(COPY_EVENTS) as copy:
        for batch in batches:
            source = clean(batch.source)
            for event in batch.stored:
                await copy.write_row(
                    (
                        moment(event.occurred_at),
                        source,
                        event.kind.value,
                        clean(event.unit),
                        event.provenance.value,
                        event.fingerprint,
                        event.priority,
                        clean(event.text),
                        None if event.attributes is None else to_json(event.attributes),
                    )
                )


async def _write_cursors(connection: Connection, batches: Sequence[Prepared]) -> None:
    last = {clean(batch.source): batch for batch in batches if batch.cursor is not None}
    if last:
        sources = sorted(last)
        await connection.execute(
            UPSERT_CURSORS,
            (
                sources,
                [to_json(last[source].cursor) for source in sources],
                [last[source].generation or 0 for source in sources],
            ),
        )


async def _count(connection: Connection, batches: Sequence[Prepared]) -> None:
    by_source, drops = settle.tallies(batches)
    if by_source:
        sums = list(by_source.values())
        await connection.execute(
            UPSERT_COUNTERS,
            (
                list(by_source),
                [total.received for total in sums],
                [total.stored for total in sums],
                [total.folded for total in sums],
                [total.dropped for total in sums],
            ),
        )
    if drops:
        await connection.execute(
            UPSERT_DROPS,
            (
                [source for source, _ in drops],
                [reason for _, reason in drops],
                list(drops.values()),
            ),
        )
