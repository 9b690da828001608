"""The store as the composition opens it: PostgreSQL found or started, migrated, partitions made."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from daemon.store.cluster import ADMINISTRATOR
from daemon.store.embedded import EmbeddedServer, ServerState
from daemon.store.errors import StoreSetupError
from daemon.store.migrate import migrate
from daemon.store.ownership import administrator, settle
from daemon.store.partitions import Maintenance
from daemon.store.pool import Database
from daemon.store.protection import Protection, inspect
from daemon.store.settings import StoreSettings

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What is open. `server` is None when a DSN was given. `conninfo` may hold a password."""

    conninfo: str = dataclasses.field(repr=False)
    pool: Database
    maintenance: Maintenance
    server: EmbeddedServer | None
    postgres_version: str
    protection: Protection | None
    """What keeps the pool's role from changing the ledger. None only where there is no ledger."""


@contextlib.asynccontextmanager
async def open_store(
    settings: StoreSettings,
    state_dir: Path,
    *,
    attach: bool = True,
    own: bool = True,
    application_name: str = "triaged",
) -> AsyncIterator[Store]:
    """Opens the store, and closes it (with the embedded PostgreSQL) at the end of the block.

    With `attach`, an embedded server that another process owns is used as a client, as commands
    do while the daemon runs; the daemon itself passes False. Without `own` it is waited for and
    never started here. Raises `StoreSetupError` and its kinds, or `StoreUnavailableError` when
    PostgreSQL at the DSN does not answer in time.
    """
    async with contextlib.AsyncExitStack() as stack:
        server: EmbeddedServer | None = None
        conninfo = read_dsn(settings)
        if conninfo is None:
            server = EmbeddedServer(directory=state_dir / "postgres", settings=settings.embedded)
            stack.push_async_callback(server.stop)
            await (server.start(attach=attach) if own else server.join())
            conninfo = server.conninfo()
            await _settle(server)
        database = Database(conninfo=conninfo, settings=settings, application_name=application_name)
        stack.push_async_callback(database.close)
        await database.open(wait_seconds=settings.connect_seconds * 2)
        applied = await migrate(database)
        if applied and server is not None:
            await _settle(server)  # what is new belongs to the daemon, the ledger must not
        owner = server is not None and server.state is not ServerState.ATTACHED
        maintenance = Maintenance(
            database=database,
            settings=settings,
            bound_log=server.cluster.bound_log if server is not None and owner else None,
        )
        await maintenance.prepare()
        async with database.connection() as connection:
            row = await (await connection.execute("show server_version")).fetchone()
            protection = await inspect(connection)
        version = str(row[0]) if row else "unknown"
        yield Store(
            conninfo=conninfo,
            pool=database,
            maintenance=maintenance,
            server=server,
            postgres_version=version,
            protection=protection,
        )


async def _settle(server: EmbeddedServer) -> None:
    async with administrator(server.conninfo(role=ADMINISTRATOR)) as connection:
        done = await settle(connection)
    if done:
        _log.info("rights in PostgreSQL were set right", statements=len(done))


def read_dsn(settings: StoreSettings) -> str | None:
    """The connection string that was configured, None for the embedded server."""
    if settings.dsn is not None:
        return settings.dsn.get_secret_value()
    if settings.dsn_file is None:
        return None
    return _read_line(settings.dsn_file)


def _read_line(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = (
            f"cannot read store.dsn_file {path} ({error}); it holds one line, the connection string"
        )
        raise StoreSetupError(msg) from error
    if not text or "\n" in text:
        msg = f"store.dsn_file {path} must hold exactly one line, the connection string"
        raise StoreSetupError(msg)
    return text
