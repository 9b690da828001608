"""A copy of everything in one file, and back, by pg_dump and pg_restore.

They are told the password through the environment, not on a command line that others could read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from daemon.ledger import Head, NewEntry
from daemon.store import ledger, work
from daemon.store.cluster import ADMINISTRATOR
from daemon.store.errors import StoreSetupError
from daemon.store.install import Install, find_install
from daemon.store.open import Store
from daemon.store.ownership import administrator, settle
from daemon.store.pool import Connection

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}
"""The variables that libpq reads (PostgreSQL manual, 32.15). Others cannot see them."""


async def backup(store: Store, *, target: Path) -> int:
    """Writes everything into `target`, whole or not at all, readable by its owner alone.

    Takes a consistent snapshot while the daemon works on. Returns the size in bytes. Raises
    `StoreSetupError` with what pg_dump said.
    """
    work = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _make(work)
        install = find_install()  # the newest pg_dump reads every older server
        await _run(
            store,
            install,
            (
                str(install.pg_dump),
                *("--format=custom", "--no-owner", "--no-privileges"),
                f"--file={work}",
            ),
        )
        return await asyncio.to_thread(_put, work, target)
    except OSError as error:
        msg = f"cannot write the backup {target} ({error.strerror}); choose another place"
        raise StoreSetupError(msg) from error
    finally:
        work.unlink(missing_ok=True)


async def restore(store: Store, *, source: Path) -> None:
    """Replaces everything in the database by the backup: whole or not at all.

    What is there is put aside as the schema `replaced`, and taken back when the backup cannot be
    restored. Nothing else may use the store meanwhile. The embedded PostgreSQL's administrator
    moves the schemas; what the backup holds is run as the daemon's role. The ledger goes back with
    the rest: its next entry says so, and names the head that was replaced. Raises
    `StoreSetupError` with what pg_restore said, or that a configured role may not replace its
    ledger.
    """
    _expect(source)
    if store.server is None and store.protection is not None and store.protection.by_rights:
        msg = (
            f"the role {store.protection.role} may not replace the ledger, which belongs to"
            f" {store.protection.owner}; 'The ledger' in docs/operation.md says what an"
            " administrator runs before a restore and after it"
        )
        raise StoreSetupError(msg)
    install = find_install()
    async with store.pool.connection() as connection:
        replaced = await ledger.head(connection)
    async with _moving(store) as connection:
        await connection.execute("alter schema public rename to replaced")
        await connection.execute("create schema public")
    await _settle(store)
    try:
        await _run(
            store,
            install,
            (
                str(install.pg_restore),
                # A schema that was made anew is dumped with a comment on it, which only its owner
                # may restore.
                *("--no-owner", "--no-privileges", "--no-comments"),
                *("--single-transaction", "--exit-on-error"),
                *(f"--dbname={_database(store)}", str(source)),
            ),
        )
        await _settle(store)
        await _record(store, replaced)
    except BaseException:
        async with _moving(store) as connection:
            await connection.execute("drop schema public cascade")
            await connection.execute("alter schema replaced rename to public")
        raise
    async with _moving(store) as connection:
        await connection.execute("drop schema replaced cascade")


async def _record(store: Store, replaced: Head) -> None:
    async with work.begin(store.pool) as unit:
        unit.record(
            NewEntry(kind="restore", actor="operator:local", body={"replaced_head": str(replaced)})
        )


@contextlib.asynccontextmanager
async def _moving(store: Store) -> AsyncIterator[Connection]:
    """A transaction of whoever may move schemas."""
    if store.server is None:
        async with store.pool.transaction() as connection:
            yield connection
        return
    async with (
        administrator(store.server.conninfo(role=ADMINISTRATOR)) as connection,
        connection.transaction(),
    ):
        yield connection


async def _settle(store: Store) -> None:
    if store.server is not None:
        async with administrator(store.server.conninfo(role=ADMINISTRATOR)) as connection:
            await settle(connection)


async def _run(store: Store, install: Install, program: Sequence[str]) -> None:
    given = conninfo_to_dict(store.conninfo)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    environment |= {
        variable: str(given[name]) for name, variable in _VARIABLES.items() if name in given
    }
    process = await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        # A socket whose path is too long is named by its folder's descriptor.
        pass_fds=store.server.descriptors if store.server is not None else (),
    )
    try:
        _, said = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        name = Path(program[0]).name
        words = said.decode("utf-8", "replace").strip()[:1000]
        msg = f"{name} (PostgreSQL {install.major}) failed: {words}"
        raise StoreSetupError(msg)


def _database(store: Store) -> str:
    return str(conninfo_to_dict(store.conninfo).get("dbname", ""))


def _make(path: Path) -> None:
    path.touch(mode=0o600, exist_ok=False)


def _expect(path: Path) -> None:
    if not path.is_file():
        msg = f"there is no backup {path}"
        raise StoreSetupError(msg)


def _put(work: Path, target: Path) -> int:
    """Makes the file durable under its name. Returns its size."""
    with work.open("rb") as file:
        os.fsync(file.fileno())
    work.rename(target)
    return target.stat().st_size
