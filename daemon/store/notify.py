"""PostgreSQL's notifications: words to whoever listens now. Nothing of them is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from psycopg import sql

from daemon.store.pool import Connection, Database, translated

CHANNEL = "triaged"


async def notify(connection: Connection, payloads: Sequence[str]) -> None:
    """Says all of them, in order. A payload holds less than 8,000 bytes."""
    await connection.execute(
        "select pg_notify(%s, payload) from unnest(%s::text[]) with ordinality as p (payload, n)"
        " order by n",
        (CHANNEL, list(payloads)),
    )


async def listen(database: Database) -> AsyncIterator[str]:
    """Payloads from now on, over a connection of its own. Raises `StoreUnavailableError` when the
    connection cannot be made or breaks."""
    connection = await database.connect()
    try:
        with translated():
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
            async for notification in connection.notifies():
                yield notification.payload
    finally:
        await connection.close()
