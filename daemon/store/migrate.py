"""Brings a database forward to this release's schema, from any released version.

Migrations are the files `migrations/NNNN_name.sql`, applied in order, all that are missing in one
transaction, under a lock, so that several daemons may start at once. What was applied is recorded
with its checksum. There is no way back: an older release refuses a newer schema.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import re
from collections.abc import Sequence

import structlog

from daemon.store import migrations
from daemon.store.errors import NewerSchemaError, StoreSetupError
from daemon.store.pool import Connection, Database

_log = structlog.get_logger(__name__)
_LOCK = 0x7472_6961_6765_6401  # "triaged", 1
_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")

_CREATE_RECORD = """
create table if not exists schema_migrations (
  number      integer primary key,
  name        text not null,
  checksum    text not null,
  applied_at  timestamptz not null default now()
)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file. `checksum` is the SHA-256 of its bytes, in hex."""

    number: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql).hexdigest()


def packaged() -> tuple[Migration, ...]:
    """The migrations of this release, in order."""
    found = [
        Migration(number=int(match[1]), name=match[2], sql=entry.read_bytes())
        for entry in importlib.resources.files(migrations).iterdir()
        if (match := _NAME.match(entry.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.number))


async def migrate(
    database: Database, *, wanted: Sequence[Migration] | None = None
) -> tuple[Migration, ...]:
    """Applies what is missing and returns it.

    Raises `NewerSchemaError` when the database is ahead of this release, `StoreSetupError` when a
    migration that was applied is not the one of this release, `StoreUnavailableError`.
    """
    known = packaged() if wanted is None else tuple(wanted)
    async with database.transaction() as connection:
        # No statement limit: a migration of much data takes what it takes.
        await connection.execute("set local statement_timeout = 0")
        await connection.execute("set local lock_timeout = 0")
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        missing = await _missing(connection, known)
        for migration in missing:
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (number, name, checksum) values (%s, %s, %s)",
                (migration.number, migration.name, migration.checksum),
            )
    for migration in missing:
        _log.info("schema migrated", number=migration.number, name=migration.name)
    return missing


async def _missing(connection: Connection, known: Sequence[Migration]) -> tuple[Migration, ...]:
    await connection.execute(_CREATE_RECORD)
    cursor = await connection.execute(
        "select number, name, checksum from schema_migrations order by number"
    )
    applied = await cursor.fetchall()
    by_number = {migration.number: migration for migration in known}
    newest = max(by_number, default=0)
    for number, name, checksum in applied:
        if number > newest:
            msg = (
                f"the database has schema {number} ({name}) and this triaged knows up to {newest};"
                " a newer release wrote it: install that release again, or restore a backup"
            )
            raise NewerSchemaError(msg)
        migration = by_number.get(number)
        if migration is None or migration.checksum != checksum:
            msg = (
                f"schema migration {number} ({name}) in the database is not the one of this"
                " release; the database or the installation was changed by hand: reinstall triaged,"
                " or restore a backup"
            )
            raise StoreSetupError(msg)
    done = {row[0] for row in applied}
    return tuple(migration for migration in known if migration.number not in done)
