"""Reads files as the daemon does, and commits events and cursor to SQLite in one transaction."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

from daemon.events import Batch, Cursor
from daemon.sources.base import Receipt
from tests.sources.kept import Committed
from tests.sources.log_files import source


async def main(database: Path, pattern: str) -> None:
    store = sqlite3.connect(database, isolation_level=None)
    store.execute("create table if not exists events (text text)")
    store.execute("create table if not exists cursor (value text)")
    row = store.execute("select value from cursor").fetchone()
    cursor: Cursor | None = None if row is None else json.loads(row[0])

    async def emit(batch: Batch) -> Receipt:
        store.execute("begin immediate")
        store.executemany("insert into events values (?)", [(e.text,) for e in batch.events])
        if batch.cursor is not None:
            store.execute("delete from cursor")
            store.execute("insert into cursor values (?)", (json.dumps(batch.cursor),))
        store.execute("commit")
        return Committed()

    await source(pattern, rotated_wait=2.0).run(cursor=cursor, emit=emit)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
