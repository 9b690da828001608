"""Responses of `/v1/responses`: kept for their owners, bounded by age and number."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import class_row

from daemon.store.pool import Connection, Database
from daemon.store.pruning import delete_in_chunks
from daemon.store.values import clean, moment, to_json

_CHUNK = 500

INSERT = """
insert into responses (id, owner, previous_id, created_at, bytes, item_ids, input_items, body)
values (%(id)s, %(owner)s, %(previous_id)s, %(created_at)s, %(bytes)s, %(item_ids)s::text[],
        %(input_items)s::json, %(body)s::json)
on conflict (id) do nothing
"""
COLUMNS = "id, owner, previous_id, created_at, input_items, body"
FIND = f"select {COLUMNS} from responses where id = %s and owner = %s"  # noqa: S608 (a constant)

# Newest first, without the documents. A circle, which only a hand could have made, ends at the
# limit like any chain that is too long.
LINKS = """
with recursive chain (id, previous_id, bytes, step) as (
  select id, previous_id, bytes, 1 from responses where id = %(id)s and owner = %(owner)s
  union all
  select r.id, r.previous_id, r.bytes, c.step + 1
  from chain c join responses r on r.id = c.previous_id and r.owner = %(owner)s
  where c.step < %(limit)s
)
select id, previous_id, bytes from chain order by step
"""
LOAD = f"""
select {COLUMNS} from responses where id = any(%s::text[]) and owner = %s
"""  # noqa: S608 (a constant)

# In order of their ids, so that two that go on from the same response do not wait for each other.
# What was used within the hour needs no new mark.
TOUCH = """
with due as (
  select id from responses
  where id = any(%s::text[]) and owner = %s and used_at < now() - interval '1 hour'
  order by id for update
)
update responses r set used_at = now() from due where r.id = due.id
"""
# Rows that somebody works on are skipped: the next one that is kept makes the room.
DELETE_SURPLUS = """
delete from responses where id = any(array(
  select id from responses order by used_at desc, id desc offset %s limit %s
  for update skip locked))
"""
DELETE_OLD = """
delete from responses where id = any(array(
  select id from responses where used_at < now() - %s * interval '1 day'
  order by used_at limit %s for update skip locked))
"""
DELETE = "delete from responses where id = %s and owner = %s"

HOLDERS = """
select id, bytes from responses
where owner = %(owner)s and item_ids && %(ids)s::text[] order by created_at, id limit %(limit)s
"""
ITEMS = """
select item ->> 'id', item from (
  select r.created_at, r.id, json_array_elements(document) as item
  from responses r, unnest(array[r.input_items, r.body -> 'output']) as document
  where r.id = any(%(holders)s::text[]) and r.owner = %(owner)s
) found
where item ->> 'id' = any(%(ids)s::text[]) order by created_at, id
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRow:
    """A response with what was sent for it, both as JSON documents."""

    id: str
    owner: str
    previous_id: str | None
    created_at: dt.datetime
    input_items: list[dict[str, Any]]
    body: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One response of a chain. `bytes` is what its documents take."""

    id: str
    previous_id: str | None
    bytes: int


async def insert(connection: Connection, row: ResponseRow) -> None:
    """Keeps a response, once. In the caller's transaction."""
    input_items, body = to_json(row.input_items), to_json(row.body)
    items = (*row.input_items, *row.body.get("output", ()))
    await connection.execute(
        INSERT,
        {
            "id": row.id,
            "owner": clean(row.owner),
            "previous_id": row.previous_id,
            "created_at": moment(row.created_at.timestamp()),
            "bytes": len(input_items.encode()) + len(body.encode()),
            "item_ids": sorted({clean(str(item["id"])) for item in items if item.get("id")}),
            "input_items": input_items,
            "body": body,
        },
    )


async def find(connection: Connection, *, response_id: str, owner: str) -> ResponseRow | None:
    """None where there is none, or another owner's."""
    async with connection.cursor(row_factory=class_row(ResponseRow)) as cursor:
        await cursor.execute(FIND, (clean(response_id), clean(owner)))
        return await cursor.fetchone()


async def links(connection: Connection, *, response_id: str, owner: str, limit: int) -> list[Link]:
    """The response and those before it, newest first, at most `limit`. It ends early where one is
    missing."""
    async with connection.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(
            LINKS, {"id": clean(response_id), "owner": clean(owner), "limit": limit}
        )
        return await cursor.fetchall()


async def load(
    connection: Connection, *, ids: Sequence[str], owner: str
) -> Mapping[str, ResponseRow]:
    """Those that are there, by id."""
    async with connection.cursor(row_factory=class_row(ResponseRow)) as cursor:
        await cursor.execute(LOAD, (list(ids), clean(owner)))
        return {row.id: row for row in await cursor.fetchall()}


async def holders(
    connection: Connection, *, ids: Sequence[str], owner: str, limit: int
) -> list[Link]:
    """The responses that hold items with these ids, oldest first, at most `limit`."""
    cursor = await connection.execute(
        HOLDERS, {"ids": [clean(one) for one in ids], "owner": clean(owner), "limit": limit}
    )
    return [Link(id=row[0], previous_id=None, bytes=row[1]) for row in await cursor.fetchall()]


async def items(
    connection: Connection, *, ids: Sequence[str], owner: str, of: Sequence[str]
) -> Mapping[str, dict[str, Any]]:
    """The items with these ids of the responses `of`, by id; the newest where several have it."""
    cursor = await connection.execute(
        ITEMS,
        {"ids": [clean(one) for one in ids], "owner": clean(owner), "holders": list(of)},
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def touch(connection: Connection, *, ids: Sequence[str], owner: str) -> None:
    """These are in use."""
    await connection.execute(TOUCH, (list(ids), clean(owner)))


async def delete(connection: Connection, *, response_id: str, owner: str) -> bool:
    """False where there was none, or another owner's."""
    cursor = await connection.execute(DELETE, (clean(response_id), clean(owner)))
    return cursor.rowcount > 0


async def prune_surplus(connection: Connection, *, most: int) -> int:
    """Deletes those that were not used for longest until `most` are left; 500 at once."""
    return (await connection.execute(DELETE_SURPLUS, (most, _CHUNK))).rowcount


async def prune_old(database: Database, *, days: int) -> int:
    """Deletes those that were not used for `days`. Returns how many. Raises
    `StoreUnavailableError`."""
    return await delete_in_chunks(database, DELETE_OLD, days=days)
