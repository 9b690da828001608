"""Fixtures that need a real PostgreSQL: one server for the session, a fresh database for each test.

The server is the daemon's own embedded one, started by its own code in a thread with an event
loop of its own, because tests each have a loop that ends before the server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from daemon.store.cluster import ADMINISTRATOR, DAEMON
from daemon.store.embedded import EmbeddedServer
from daemon.store.migrate import migrate
from daemon.store.ownership import administrator, settle
from daemon.store.partitions import Maintenance
from daemon.store.pool import Database
from daemon.store.settings import EmbeddedSettings, StoreSettings

TEMPLATE = "triaged_template"
MEMORY = Path("/dev/shm")
"""Where there is room in memory, data goes there: a slow disk would only make the tests slow."""
_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server. `conninfo(database="postgres")` gives a superuser's connection string."""

    server: EmbeddedServer
    directory: Path

    def conninfo(self, *, database: str = "postgres") -> str:
        return self.server.conninfo(database=database, role=ADMINISTRATOR)


def scratch(name: str) -> Path:
    """A new folder with a short path, in memory where there is enough; the caller removes it."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * 1024**3
    return Path(tempfile.mkdtemp(prefix=f"triaged-{name}-", dir=MEMORY if roomy else None))


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where a test sent its logs is closed after it: nothing of that stays for the next."""
    configure, before = structlog.configure, list(logging.root.handlers)

    def uncached(**values: Any) -> None:
        configure(**{**values, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    yield
    structlog.reset_defaults()
    for handler in logging.root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in before:
            logging.root.removeHandler(handler)


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty state directory with a short path, private to this test."""
    path = scratch("state")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def session_dir() -> Iterator[Path]:
    """A folder with a short path for the whole session."""
    path = scratch("session")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def store_settings() -> StoreSettings:
    """Settings with little patience, so that outages show quickly."""
    return StoreSettings(pool_min=1, pool_max=8, acquire_seconds=5, connect_seconds=5)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole session, with a migrated template database in it."""
    directory = scratch("tests")
    server = EmbeddedServer(
        directory=directory / "postgres", settings=EmbeddedSettings(max_connections=100)
    )
    # Tests kill processes, not the machine: durability against power cuts would only cost time.
    server.cluster.make()
    (server.cluster.conf / "local.conf").write_text("fsync = off\nsynchronous_commit = off\n")
    with _in_background(server):
        asyncio.run(_make_template(server))
        yield PostgresServer(server=server, directory=directory)
    shutil.rmtree(directory)


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The connection string of a fresh, migrated database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    yield postgres_server.conninfo(database=name)
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
async def pool(database: str, store_settings: StoreSettings) -> AsyncIterator[Database]:
    """An open pool on a fresh, migrated database, with the rights that the daemon has."""
    conninfo = make_conninfo(database, user=DAEMON)
    opened = Database(conninfo=conninfo, settings=store_settings, application_name="test")
    await opened.open(wait_seconds=10)
    yield opened
    await opened.close()


async def _make_template(server: EmbeddedServer) -> None:
    conninfo = server.conninfo(database="postgres", role=ADMINISTRATOR)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
    settings = StoreSettings(pool_min=1, pool_max=2)
    conninfo = server.conninfo(database=TEMPLATE, role=ADMINISTRATOR)
    opened = Database(conninfo=conninfo, settings=settings)
    await opened.open(wait_seconds=10)
    await migrate(opened)
    await Maintenance(database=opened, settings=settings).prepare()
    await opened.close()
    async with administrator(conninfo) as connection:
        await settle(connection)


@contextlib.contextmanager
def _in_background(server: EmbeddedServer) -> Iterator[None]:
    """Runs `server` in a thread's own event loop until the end of the block."""
    started = threading.Event()
    problem: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        await server.start(attach=False)
        started.set()
        try:
            await over.wait()
        finally:
            await server.stop()

    def body() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 (raised again in the main thread)
            problem.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=body, name="postgres-server")
    thread.start()
    started.wait()
    try:
        if not problem:
            yield
    finally:
        if stop and thread.is_alive():
            stop[0]()
        thread.join()
        if problem:
            raise problem[0]
