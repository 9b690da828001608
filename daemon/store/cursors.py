"""Where each source resumes, and who may say so."""

from __future__ import annotations

import dataclasses

from daemon.events import Cursor
from daemon.store.pool import Connection
from daemon.store.values import clean

TAKE = """
insert into cursors as c (source, generation, owner) values (%s, 1, %s)
on conflict (source) do update set generation = c.generation + 1, owner = excluded.owner
returning cursor, generation
"""
READ = "select cursor from cursors where source = %s"
FORGET = "delete from cursors where source = %s"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where to resume (None: the first start ever), and the number to write with from now on."""

    cursor: Cursor | None
    generation: int


async def take(connection: Connection, *, source: str, owner: str) -> Position:
    """Takes `source` over: from now on a writer with an older generation is refused."""
    row = await (await connection.execute(TAKE, (clean(source), owner))).fetchone()
    assert row is not None  # noqa: S101 (an upsert that updates always returns)
    return Position(cursor=row[0], generation=row[1])


async def read(connection: Connection, *, source: str) -> Cursor | None:
    """The last committed cursor."""
    row = await (await connection.execute(READ, (clean(source),))).fetchone()
    cursor: Cursor | None = row[0] if row is not None else None
    return cursor


async def forget(connection: Connection, *, source: str) -> None:
    """The source starts as if it had never run. Its counters stay."""
    await connection.execute(FORGET, (clean(source),))
