"""Who owns what in the embedded PostgreSQL, so that the daemon cannot change the ledger.

The daemon connects as a role of its own, which owns what it has to maintain (its tables, their
days), and is no superuser. The ledger, its guard, the schema and the database belong to the
administrator, the role that initdb made: the daemon's role may read the ledger and add to it.

The administrator comes for a moment at every start and sets right what is not as it should be: a
new database, one of an older release, one that a backup was just restored into. It reads the
catalogs only and runs nothing that the daemon's role could have put there (no trigger, no view, no
function of the schema), so that nobody becomes the administrator by leaving something for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import psycopg
from psycopg import sql

from daemon.store.cluster import ADMINISTRATOR, DAEMON
from daemon.store.pool import Connection, translated

SCHEMA = "public"
_LOCK = 0x7472_6961_6765_6404  # "triaged", 4
_LOCK_WAIT = "10s"

# One statement for each thing that is not as it should be. Sequences of identity columns follow
# their table and cannot be given away by themselves.
WRONG = """
select format('alter schema %%I owner to %%I', nspname, %(administrator)s::text)
from pg_namespace
where nspname = %(schema)s::text and nspowner <> %(administrator)s::text::regrole
union all
select format('grant usage, create on schema %%I to %%I', nspname, %(daemon)s::text)
from pg_namespace
where nspname = %(schema)s::text
  and not (has_schema_privilege(%(daemon)s::text, oid, 'USAGE')
           and has_schema_privilege(%(daemon)s::text, oid, 'CREATE'))
union all
select format('alter table %%I.%%I owner to %%I', %(schema)s::text, relname, owner)
from (
  select oid, relname, relkind, relowner,
         case relname when 'ledger' then %(administrator)s::text else %(daemon)s::text end as owner
  from pg_class
  where relnamespace = %(schema)s::text::regnamespace
    and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
) relations
where relowner <> owner::regrole
  and not exists (select from pg_depend d
                  where d.classid = 'pg_class'::regclass and d.objid = relations.oid
                    and (d.deptype = 'e' or relkind = 'S' and d.deptype in ('a', 'i')))
union all
select format('alter function %%I.%%I() owner to %%I', %(schema)s::text, proname,
              %(administrator)s::text)
from pg_proc
where pronamespace = %(schema)s::text::regnamespace and proname = 'ledger_is_append_only'
  and pronargs = 0 and proowner <> %(administrator)s::text::regrole
"""
# Asked when the owner is right: a change of the owner carries the old owner's rights over.
RIGHTS = """
select has_table_privilege(%(daemon)s::text, oid, 'SELECT')
       and has_table_privilege(%(daemon)s::text, oid, 'INSERT')
       and not has_table_privilege(%(daemon)s::text, oid,
                                   'UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       and not has_any_column_privilege(%(daemon)s::text, oid, 'UPDATE, REFERENCES')
from pg_class where relnamespace = %(schema)s::text::regnamespace and relname = 'ledger'
"""
GRANT = (
    "revoke all on table {table} from public, {daemon}",
    "grant select, insert on table {table} to {daemon}",
)
_NAMES = {"administrator": ADMINISTRATOR, "daemon": DAEMON, "schema": SCHEMA}


@contextlib.asynccontextmanager
async def administrator(conninfo: str) -> AsyncIterator[Connection]:
    """A connection of the administrator, in autocommit mode, which looks into the catalogs only.

    Raises the store's errors, as `translated` makes them.
    """
    with translated():
        connection = await psycopg.AsyncConnection.connect(
            conninfo,
            autocommit=True,
            application_name="triaged administrator",
            connect_timeout=5,
            options=f"-c search_path=pg_catalog -c lock_timeout={_LOCK_WAIT}",
        )
        async with connection:
            yield connection


async def settle(connection: Connection) -> tuple[str, ...]:
    """Gives everything to whom it belongs. Returns the statements that were needed, often none.

    `connection` is the administrator's. Safe to run at any time, by several at once.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor = await connection.execute(WRONG, _NAMES)
        done = [str(row[0]) for row in await cursor.fetchall()]
        for statement in done:
            await connection.execute(statement.encode())
        row = await (await connection.execute(RIGHTS, _NAMES)).fetchone()
        if row is not None and not row[0]:
            for template in GRANT:
                right = sql.SQL(template).format(
                    table=sql.Identifier(SCHEMA, "ledger"), daemon=sql.Identifier(DAEMON)
                )
                await connection.execute(right)
                done.append(right.as_string(connection))
    return tuple(done)


async def make_roles(connection: Connection, *, database: str) -> None:
    """Makes the daemon's role and the database where they are missing.

    `connection` is the administrator's, in autocommit mode, to another database.
    """
    cursor = await connection.execute(
        "select (select count(*) from pg_roles where rolname = %s),"
        " (select count(*) from pg_database where datname = %s)",
        (DAEMON, database),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101
    # In this order: whoever is let in as the daemon's role finds the database.
    if not row[1]:
        await connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
    if not row[0]:
        await connection.execute(sql.SQL("create role {} login").format(sql.Identifier(DAEMON)))
