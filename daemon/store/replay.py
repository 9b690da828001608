"""What was decided about actions, and what tiers wanted before there were any: for the replay."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Sequence

from psycopg.rows import class_row

from daemon.ledger import Entry
from daemon.store.ledger import COLUMNS
from daemon.store.pool import Database

KINDS = (
    "action_request",
    "action_decision",
    "action_approval",
    "action_started",
    "action_result",
    "action_expired",
    "action_withdrawn",
)
"""The ledger's entries that tell what became of an action."""
ENTRIES = f"""
select {COLUMNS} from ledger
where kind = any(%s) and at >= %s and seq > %s order by seq limit %s
"""  # noqa: S608 (constants)
HOSTS = "select id::text, host from actions where id::text = any(%s)"
# What was wanted later has entries of its own. The units are those whose patterns the incident has,
# with who vouches for them.
WANTED = """
select a.id, a.incident_id, a.at,
       array(select w ->> 'code' from jsonb_array_elements(a.actions) w) as codes,
       coalesce(v.units, '{}') as units, coalesce(v.provenances, '{}') as provenances
from assessments a
left join lateral (
  select array_agg(p.unit) as units, array_agg(p.provenance) as provenances
  from incident_patterns ip join patterns p using (fingerprint)
  where ip.incident_id = a.incident_id) v on true
where a.at >= %(since)s
  and a.at < coalesce((select min(at) from ledger where kind = 'action_request'), 'infinity')
  and jsonb_array_length(a.actions) > 0 and a.id > %(after)s
order by a.id limit %(limit)s
"""
_PAGE = 2_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WantedRow:
    """What an answer of a tier named, as "KIND:TARGET". `units` and `provenances` go together:
    whose events the incident has, and who vouches for them."""

    id: int
    incident_id: int
    at: dt.datetime
    codes: list[str]
    units: list[str]
    provenances: list[str]


async def entries(database: Database, *, since: dt.datetime) -> AsyncIterator[Entry]:
    """Entries about actions in order, page by page; no transaction stays open meanwhile."""
    after = 0
    while True:
        async with (
            database.connection() as connection,
            connection.cursor(row_factory=class_row(Entry)) as cursor,
        ):
            await cursor.execute(ENTRIES, (list(KINDS), since, after, _PAGE))
            page = await cursor.fetchall()
        for entry in page:
            yield entry
        if len(page) < _PAGE:
            return
        after = page[-1].seq


async def wanted(database: Database, *, since: dt.datetime) -> AsyncIterator[WantedRow]:
    """What tiers named before the first request for an action, in order."""
    after = 0
    while True:
        async with (
            database.connection() as connection,
            connection.cursor(row_factory=class_row(WantedRow)) as cursor,
        ):
            await cursor.execute(WANTED, {"since": since, "after": after, "limit": _PAGE})
            page = await cursor.fetchall()
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        after = page[-1].id


async def hosts(database: Database, action_ids: Sequence[str]) -> dict[str, str]:
    """By the action's id: on which host it was to be done."""
    async with database.connection() as connection:
        cursor = await connection.execute(HOSTS, (list(action_ids),))
        return {row[0]: row[1] for row in await cursor.fetchall()}
