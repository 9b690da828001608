"""What the doctor finds of the ledger: whether the daemon's role could change it."""

from __future__ import annotations

from pathlib import Path

from daemon.findings import Finding, ok, problem, warning
from daemon.store.embedded import EmbeddedServer
from daemon.store.errors import StoreError, StoreSetupError
from daemon.store.open import read_dsn
from daemon.store.pool import Database, translated
from daemon.store.protection import Protection, inspect
from daemon.store.settings import StoreSettings


async def ledger_findings(settings: StoreSettings, *, state_dir: Path) -> list[Finding]:
    """Asks the database that is configured, or the embedded one while it runs and lets us in.
    Changes nothing, and waits a few seconds at most."""
    try:
        dsn = read_dsn(settings)
    except StoreSetupError as error:
        return [problem("store", str(error))]
    if dsn is not None:
        try:
            return _told(await _ask(dsn, settings))
        except StoreError as error:
            return [problem("store", str(error))]
    server = EmbeddedServer(directory=state_dir / "postgres", settings=settings.embedded)
    try:
        if server.cluster.socket.exists():
            return _told(await _ask(server.conninfo(), settings))
    except (OSError, StoreError):
        pass  # it does not run, or is another user's: the daemon sees to its own ledger
    finally:
        await server.stop()
    return []


async def _ask(conninfo: str, settings: StoreSettings) -> Protection | None:
    database = Database(conninfo=conninfo, settings=settings, application_name="triaged doctor")
    with translated():
        async with await database.connect() as connection:
            return await inspect(connection)


def _told(found: Protection | None) -> list[Finding]:
    if found is None:
        return []  # nothing was ever started here
    good = found.by_rights and found.guarded
    return [(ok if good else warning)("ledger", found.words)]
