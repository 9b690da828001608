"""PostgreSQL's notifications: words to whoever listens now. Nothing of them is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from psycopg import sql

from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Connection, Database, translated

CHANNEL = "triaged"
_LOOK_SECONDS = 30.0
"""How often the connection is asked whether it still is one: a broken way says nothing."""
_ANSWER_SECONDS = 10.0


async def notify(connection: Connection, payloads: Sequence[str]) -> None:
    """Says all of them, in order. A payload holds less than 8,000 bytes."""
    await connection.execute(
        "select pg_notify(%s, payload) from unnest(%s::text[]) with ordinality as p (payload, n)"
        " order by n",
        (CHANNEL, list(payloads)),
    )


async def listen(database: Database) -> AsyncIterator[str]:
    """Payloads from now on, over a connection of its own, until it breaks. Raises the store's
    errors."""
    connection = await database.connect()
    try:
        with translated():
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
            while True:
                async for notification in connection.notifies(timeout=_LOOK_SECONDS):
                    yield notification.payload
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await connection.execute("select 1")
                except TimeoutError as error:
                    message = "PostgreSQL does not answer where its notifications come from"
                    raise StoreUnavailableError(message) from error
    finally:
        await connection.close()
