"""What the intake commit writes: one statement for each table, and the rows that it is given.

Rows travel as JSON: Python makes it ten times faster than arrays, and PostgreSQL, which takes it
apart, has a core of its own. Every statement may be sent before the one before it was answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.events import Cursor
from daemon.store.pool import Connection
from daemon.store.prepared import Alias, PatternDelta, Prepared, StoredEvent
from daemon.store.settle import Tally
from daemon.store.values import clean, moment, to_json

# Counts are added; the spread of times widens; rates are the newest sender's. A request for a
# verdict stays until there is one, and "new" is no request once there is a verdict. A floor never
# falls, whichever daemon of several sets it. A rate that is no number is none.
_RANK = "array_position(array['info','notice','warning','critical'], {})"
_MOST_VALUES = 500
STORED, SENT = _RANK.format("p.floor"), _RANK.format("excluded.floor")
UPSERT_PATTERNS = f"""
insert into patterns as p
  (fingerprint, source_kind, unit, pattern, sample, provenance, count, unattached, first_seen,
   last_seen, rate, rate_at, usual_gap, burst, top_values, unattached_values, floor, rule,
   correlation, judge_reason)
select fingerprint, source_kind, unit, pattern, sample, provenance, count, unattached, first_seen,
       last_seen, coalesce(rate, 0), rate_at, usual_gap, burst, top_values, new_values, floor,
       rule, correlation, judge_reason
from rows from (json_to_recordset(%s::json) as
  (fingerprint text, source_kind text, unit text, pattern text, sample text, provenance text,
   count bigint, unattached bigint, first_seen timestamptz, last_seen timestamptz, rate float8,
   rate_at timestamptz, usual_gap float8, burst int, top_values jsonb, new_values jsonb, floor text,
   rule text, correlation text, judge_reason text)) with ordinality
order by ordinality
on conflict (fingerprint) do update set
  pattern      = excluded.pattern,
  provenance   = case when excluded.provenance = 'text' then 'text' else p.provenance end,
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
  unattached_values = case
    when excluded.unattached_values = '[]'
      or jsonb_array_length(p.unattached_values) >= {_MOST_VALUES} then p.unattached_values
    else p.unattached_values || excluded.unattached_values end,
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
from rows from (json_to_recordset(%s::json) as
  (source_kind text, unit text, masked text, fingerprint text)) with ordinality
  as t (source_kind, unit, masked, fingerprint, position)
join patterns using (fingerprint)
order by position
on conflict (source_kind, unit, masked) do update set fingerprint = excluded.fingerprint
where a.fingerprint <> excluded.fingerprint
"""

INSERT_EVENTS = """
insert into events (occurred_at, source, source_kind, unit, provenance, fingerprint, priority, text,
                    attributes)
select occurred_at, source, source_kind, unit, provenance, fingerprint, priority, text, attributes
from json_to_recordset(%s::json) as
  (occurred_at timestamptz, source text, source_kind text, unit text, provenance text,
   fingerprint text, priority smallint, text text, attributes jsonb)
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

_MOST_ROWS = 2_000
_MOST_CHARACTERS = 4_000_000
"""Of text in one statement: PostgreSQL holds each as a whole, more than once."""


async def patterns(connection: Connection, deltas: Sequence[PatternDelta]) -> None:
    """Adds what patterns gained, in the order given; makes those that are new."""
    if deltas:
        await connection.execute(UPSERT_PATTERNS, (to_json([_pattern(each) for each in deltas]),))


def _pattern(delta: PatternDelta) -> dict[str, Any]:
    return {
        "fingerprint": delta.fingerprint,
        "source_kind": delta.source_kind.value,
        "unit": delta.unit,
        "pattern": delta.pattern,
        "sample": delta.sample,
        "provenance": delta.provenance.value,
        "count": delta.count,
        "unattached": delta.unattached,
        "first_seen": moment(delta.first_seen),
        "last_seen": moment(delta.last_seen),
        "rate": delta.rate,
        "rate_at": moment(delta.rate_at),
        "usual_gap": delta.usual_gap,
        "burst": delta.burst,
        "top_values": delta.top_values,
        "new_values": delta.new_values,
        "floor": delta.floor.value,
        "rule": delta.rule,
        "correlation": delta.correlation,
        # "new" is no request where there is a verdict.
        "judge_reason": delta.judge_reason or ("new" if delta.rests_on_verdict else None),
    }


async def aliases(connection: Connection, rows: Sequence[Alias]) -> None:
    """Notes which masked texts stand for which patterns, of those that are there."""
    if rows:
        sent = [
            {
                "source_kind": alias.source_kind.value,
                "unit": alias.unit,
                "masked": alias.masked,
                "fingerprint": alias.fingerprint,
            }
            for alias in rows
        ]
        await connection.execute(UPSERT_ALIASES, (to_json(sent),))


async def events(connection: Connection, batches: Sequence[Prepared]) -> None:
    """Stores the events that are kept whole."""
    for rows in _portions(batches):
        await connection.execute(INSERT_EVENTS, (to_json(rows),))


def _portions(batches: Sequence[Prepared]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    characters = 0
    for batch in batches:
        for event in batch.stored:
            if len(rows) >= _MOST_ROWS or characters >= _MOST_CHARACTERS:
                yield rows
                rows, characters = [], 0
            rows.append(_event(event, batch.source))
            characters += len(event.text)
    if rows:
        yield rows


def _event(event: StoredEvent, source: str) -> dict[str, Any]:
    return {
        "occurred_at": moment(event.occurred_at),
        "source": source,
        "source_kind": event.kind.value,
        "unit": event.unit,
        "provenance": event.provenance.value,
        "fingerprint": event.fingerprint,
        "priority": event.priority,
        "text": event.text,
        "attributes": event.attributes,
    }


async def cursors(connection: Connection, batches: Sequence[Prepared]) -> None:
    """Moves sources on to their last batch's cursor."""
    last: dict[str, tuple[Cursor, int]] = {
        clean(batch.source): (batch.cursor, batch.generation or 0)
        for batch in batches
        if batch.cursor is not None
    }
    if last:
        sources = sorted(last)
        await connection.execute(
            UPSERT_CURSORS,
            (
                sources,
                [to_json(last[source][0]) for source in sources],
                [last[source][1] for source in sources],
            ),
        )


async def counters(connection: Connection, by_source: Mapping[str, Tally]) -> None:
    """Adds to the accounting of sources, in the order given."""
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


async def drops(connection: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """Adds to what was dropped, by (source, reason), in the order given."""
    if counts:
        await connection.execute(
            UPSERT_DROPS,
            (
                [source for source, _ in counts],
                [reason for _, reason in counts],
                list(counts.values()),
            ),
        )
