"""What keys of the facade used, by day and model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from api.keys.meter import Usage, UsedOn
from daemon.store.pool import Connection
from daemon.store.values import clean

KEPT_DAYS = 400

ADD = """
insert into key_usage (key, day, model, requests, prompt_tokens, completion_tokens, last_used_at)
select * from unnest(%s::text[], %s::date[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::timestamptz[])
order by 1, 2, 3
on conflict (key, day, model) do update set
  requests = key_usage.requests + excluded.requests,
  prompt_tokens = key_usage.prompt_tokens + excluded.prompt_tokens,
  completion_tokens = key_usage.completion_tokens + excluded.completion_tokens,
  last_used_at = greatest(key_usage.last_used_at, excluded.last_used_at)
"""
ON_DAY = """
select key, day, model, requests, prompt_tokens, completion_tokens, last_used_at from key_usage
where day = %s
"""
LAST_USED = """
select key, max(last_used_at) from key_usage where last_used_at is not null group by key
"""
FORGET = "delete from key_usage where day < %s"


async def add(connection: Connection, rows: Sequence[UsedOn]) -> None:
    """Adds to what is there. In one order, so that daemons that share a database cannot wait for
    each other in a circle."""
    if not rows:
        return
    await connection.execute(
        ADD,
        (
            [clean(row.key) for row in rows],
            [row.day for row in rows],
            [clean(row.model) for row in rows],
            [row.usage.requests for row in rows],
            [row.usage.prompt_tokens for row in rows],
            [row.usage.completion_tokens for row in rows],
            [row.usage.last_used for row in rows],
        ),
    )


async def on_day(connection: Connection, day: dt.date) -> list[UsedOn]:
    """Everything of a day."""
    cursor = await connection.execute(ON_DAY, (day,))
    return [
        UsedOn(
            key=key,
            day=when,
            model=model,
            usage=Usage(
                requests=requests,
                prompt_tokens=prompt,
                completion_tokens=completion,
                last_used=last,
            ),
        )
        for key, when, model, requests, prompt, completion, last in await cursor.fetchall()
    ]


async def last_used(connection: Connection) -> dict[str, dt.datetime]:
    """When each key was used last."""
    cursor = await connection.execute(LAST_USED)
    return {str(key): at for key, at in await cursor.fetchall()}


async def forget(connection: Connection, *, before: dt.date) -> int:
    """Deletes days before this one; returns how many rows."""
    return (await connection.execute(FORGET, (before,))).rowcount
