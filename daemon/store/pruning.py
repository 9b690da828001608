"""Forgets patterns that are not seen any more, and verdicts that newer ones replaced.

A daemon may still know a pattern that is pruned here: what it sends next inserts it again, and asks
for a verdict where it rested on one (`prepared.PatternDelta.rests_on_verdict`).
"""

from __future__ import annotations

from typing import LiteralString

from daemon.store.pool import Database

_CHUNK = 500
"""Rows in one transaction."""

# Times of patterns are those at which events occurred, and an old log may be read today: what keeps
# a pattern is an event or a verdict of it that this server stored lately. The caller's mutes are
# deleted with their pattern, so one in force keeps it too. A row that somebody works on is skipped.
# Events are looked up one pattern at a time (a join would read all of them): see `limit 1`.
LOCK_UNSEEN = """
select fingerprint from patterns p
where fingerprint > %(after)s
  and last_seen < now() - %(days)s * interval '1 day'
  and (judge_until is null or judge_until < now())
  and not exists (select from incident_patterns i where i.fingerprint = p.fingerprint)
  and not exists (select from verdicts v
                  where v.fingerprint = p.fingerprint
                    and v.at >= now() - %(days)s * interval '1 day')
  and not exists (select from mutes m
                  where m.fingerprint = p.fingerprint and m.lifted_at is null
                    and (m.expires_at is null or m.expires_at > now()))
  and (select 1 from events e where e.fingerprint = p.fingerprint limit 1) is null
order by fingerprint limit %(limit)s
for update of p skip locked
"""

# Looks again, in a statement of its own: an incident that took the pattern before it was locked is
# seen now, and none can take it after that.
DELETE_PATTERNS = """
delete from patterns p where fingerprint = any(%s::text[])
  and not exists (select from incident_patterns i where i.fingerprint = p.fingerprint)
"""

DELETE_SUPERSEDED = """
delete from verdicts where id = any(array(
  select v.id from verdicts v join patterns p using (fingerprint)
  where v.at < now() - %s * interval '1 day' and p.verdict_id > v.id
  order by v.id limit %s))
"""


async def prune_patterns(database: Database, *, days: int) -> int:
    """Deletes patterns unseen for `days` that no incident names, with their aliases, verdicts and
    past mutes. Returns how many. Raises `StoreUnavailableError`."""
    deleted, after = 0, ""
    while True:
        async with database.transaction() as connection:
            cursor = await connection.execute(
                LOCK_UNSEEN, {"after": after, "days": days, "limit": _CHUNK}
            )
            unseen: list[str] = [row[0] for row in await cursor.fetchall()]
            if unseen:
                deleted += (await connection.execute(DELETE_PATTERNS, (unseen,))).rowcount
        if len(unseen) < _CHUNK:
            return deleted
        after = unseen[-1]


async def prune_verdicts(database: Database, *, days: int) -> int:
    """Deletes verdicts that are older than `days` and not in force any more. Returns how many.
    Raises `StoreUnavailableError`."""
    return await delete_in_chunks(database, DELETE_SUPERSEDED, days=days)


async def delete_in_chunks(database: Database, statement: LiteralString, *, days: int) -> int:
    """Runs a deletion that takes days and a number of rows until nothing is left for it. Returns
    how many rows went. Raises `StoreUnavailableError`."""
    deleted = 0
    while True:
        async with database.connection() as connection:
            cursor = await connection.execute(statement, (days, _CHUNK))
        deleted += cursor.rowcount
        if cursor.rowcount < _CHUNK:
            return deleted
