"""What was told to which channel, and which incidents are still to be told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg.rows import dict_row

from daemon.store.incidents import Incident, incident_of
from daemon.store.pool import Connection
from tiers.vocabulary import Severity

# An incident's key holds how often it was reopened: what returns is told again.
TO_OPEN = """
select i.* from incidents i
where i.state <> 'closed' and i.parent_id is null
  and i.severity = any(%(severities)s)
  and i.last_event_at > now() - interval '1 day'
  and (i.assessed or i.severity = 'critical' or i.state = 'attention'
       or i.opened_at < now() - %(wait)s)
  and not exists (select from notices n where n.channel = %(channel)s
                  and n.key = 'incident/' || i.id || '/' || i.reopened || '/opened')
order by i.id limit %(limit)s
"""
TO_CLOSE = """
select i.* from incidents i join notices told on told.channel = %(channel)s
  and told.key = 'incident/' || i.id || '/' || i.reopened || '/opened'
where i.state = 'closed'
  and not exists (select from notices n where n.channel = %(channel)s
                  and n.key = 'incident/' || i.id || '/' || i.reopened || '/closed')
order by i.id limit %(limit)s
"""
TOLD = """
insert into notices (key, channel, incident_id) values (%s, %s, %s) on conflict do nothing
"""
KNOWN = "select key from notices where channel = %s and key = any(%s)"
# What is over and long told needs no row; live incidents keep theirs however old they are.
PRUNE = """
delete from notices n where n.told_at < now() - interval '30 days'
  and not exists (select from incidents i where i.id = n.incident_id and i.state <> 'closed')
"""


def incident_key(incident: Incident, topic: str) -> str:
    """The identity of one notice about an incident."""
    return f"incident/{incident.id}/{incident.reopened}/{topic}"


async def to_open(
    connection: Connection,
    *,
    channel: str,
    severities: Sequence[Severity],
    wait: dt.timedelta,
    limit: int = 200,
) -> list[Incident]:
    """Live incidents that the channel was not told of, oldest first. One that no model has looked
    at yet waits for `wait`, unless it is critical or needs a human."""
    return await _incidents(
        connection,
        TO_OPEN,
        {"channel": channel, "severities": list(severities), "wait": wait, "limit": limit},
    )


async def to_close(connection: Connection, *, channel: str, limit: int = 200) -> list[Incident]:
    """Closed incidents whose beginning the channel was told, and whose end was not."""
    return await _incidents(connection, TO_CLOSE, {"channel": channel, "limit": limit})


async def told(
    connection: Connection, *, channel: str, keys: Sequence[tuple[str, int | None]]
) -> None:
    """Remembers what a channel was told: (key, incident)."""
    async with connection.cursor() as cursor:
        await cursor.executemany(TOLD, [(key, channel, incident) for key, incident in keys])


async def known(connection: Connection, *, channel: str, keys: Sequence[str]) -> set[str]:
    """Which of the keys the channel was told."""
    rows = await (await connection.execute(KNOWN, (channel, list(keys)))).fetchall()
    return {str(row[0]) for row in rows}


async def prune(connection: Connection) -> int:
    """Forgets what was told long ago of what is over; returns how many."""
    return (await connection.execute(PRUNE)).rowcount


async def _incidents(
    connection: Connection, query: str, parameters: dict[str, object]
) -> list[Incident]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return [incident_of(row) for row in await cursor.fetchall()]
