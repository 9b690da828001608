"""The daemon's role adds to the ledger and can do nothing else to it: PostgreSQL is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from daemon.ledger import NewEntry
from daemon.store import ledger, work
from daemon.store.backup import backup, restore
from daemon.store.cluster import ADMINISTRATOR, DAEMON
from daemon.store.embedded import EmbeddedServer
from daemon.store.errors import StoreSetupError
from daemon.store.migrate import migrate, packaged
from daemon.store.open import Store, open_store
from daemon.store.ownership import administrator, settle
from daemon.store.partitions import Maintenance
from daemon.store.pool import Database
from daemon.store.protection import Protection, inspect
from daemon.store.settings import EmbeddedSettings, StoreSettings

OPERATION = Path(__file__).parents[2] / "docs" / "operation.md"
NOT_YET_SAFE = 5
"""The last schema of the releases in which the daemon's role owned its ledger."""

REFUSED = (
    "update ledger set actor = 'x'",
    "update only ledger set body = '{}' where false",
    "delete from ledger",
    "truncate ledger",
    "truncate incidents, ledger cascade",
    "insert into ledger select * from ledger on conflict (seq) do update set actor = 'x'",
    "merge into ledger l using (select 1 as seq) s on l.seq = s.seq when matched then delete",
    "select * from ledger for update",
    "do $$ begin lock table ledger in access exclusive mode; end $$",
    "alter table ledger disable trigger ledger_append_only",
    "alter table ledger disable trigger all",
    "drop trigger ledger_append_only on ledger",
    "alter trigger ledger_append_only on ledger rename to x",
    "create trigger other before insert on ledger execute function ledger_is_append_only()",
    "create rule other as on insert to ledger do instead nothing",
    "create policy other on ledger",
    "alter table ledger add column x int",
    "alter table ledger drop column hash",
    "alter table ledger rename to old",
    "alter table ledger owner to triaged_daemon",
    "alter table ledger set unlogged",
    "alter table ledger enable row level security",
    "alter index ledger_pkey rename to x",
    "drop index ledger_kind",
    "drop table ledger",
    "create table child () inherits (ledger)",
    "create table other (seq bigint references ledger)",
    "create or replace function ledger_is_append_only() returns trigger language sql as 'x'",
    "drop function ledger_is_append_only() cascade",
    "alter function ledger_is_append_only() owner to triaged_daemon",
    "drop schema public cascade",
    "alter schema public rename to old",
    "alter schema public owner to triaged_daemon",
    "create schema other",
    "alter database triaged rename to other",
    "alter database triaged set session_replication_role = replica",
    "set session_replication_role = replica",
    "set role triaged",
    "set session authorization triaged",
    "grant triaged to triaged_daemon",
    "alter role triaged_daemon superuser",
    "alter role triaged set search_path = public",
    "create role other",
    "reassign owned by triaged to triaged_daemon",
    "alter system set session_replication_role = replica",
    "copy ledger from program 'true'",
    "copy ledger to program 'true'",
    "copy ledger to '/tmp/ledger'",
    "select pg_read_file('postgresql.conf')",
    "select lo_import('/etc/passwd')",
    "create event trigger other on ddl_command_end execute function ledger_is_append_only()",
    "do $$ begin execute 'delete from ledger'; end $$",
)


async def record(pool: Database, number: int) -> None:
    async with work.begin(pool) as unit:
        unit.record(NewEntry(kind="test", actor="a", body={"n": number}))


async def protected(store: Store) -> Protection:
    """How it is now, checked to be as it should be."""
    async with store.pool.connection() as connection:
        found = await inspect(connection)
    assert found is not None
    assert (found.role, found.by_rights, found.guarded) == (DAEMON, True, True)
    return found


def owners(conninfo: str) -> dict[str, set[str]]:
    """What each role owns in the schema."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "select pg_get_userbyid(relowner), relname from pg_class"
            " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'S')"
        ).fetchall()
    found: dict[str, set[str]] = {}
    for owner, name in rows:
        found.setdefault(owner, set()).add(name)
    return found


@pytest.fixture(scope="module")
def own_cluster(session_dir: Path) -> Path:
    """A state folder whose database holds ten entries; tests leave them as they are."""
    state = session_dir / "rights"

    async def make() -> None:
        async with open_store(StoreSettings(), state, attach=False) as store:
            for number in range(10):
                await record(store.pool, number)

    asyncio.run(make())
    return state


@contextlib.asynccontextmanager
async def opened(state: Path) -> AsyncIterator[Store]:
    settings = StoreSettings(pool_min=1, pool_max=4)
    async with open_store(settings, state, attach=False) as store:
        yield store


async def test_nothing_that_the_daemon_can_say_changes_the_ledger(own_cluster: Path) -> None:
    async with opened(own_cluster) as store:
        before = await ledger.verify(store.pool)
        let_through = []
        async with await psycopg.AsyncConnection.connect(
            store.conninfo, autocommit=True
        ) as connection:
            for statement in REFUSED:
                try:
                    await connection.execute(statement.encode())
                except psycopg.errors.InsufficientPrivilege:
                    pass
                except psycopg.Error as error:
                    let_through.append(f"{statement}: {error}")
                else:
                    let_through.append(statement)
        assert let_through == []
        assert await ledger.verify(store.pool) == before
        await protected(store)
        await record(store.pool, 11)
        assert (await ledger.verify(store.pool)).head.seq == before.head.seq + 1


async def test_rights_that_the_daemon_hands_itself_are_none(own_cluster: Path) -> None:
    """Some statements are no error and do nothing: PostgreSQL warns only."""
    async with opened(own_cluster) as store:
        async with store.pool.connection() as connection:
            for statement in (
                "grant update, delete, truncate on ledger to triaged_daemon",
                "grant all on schema public to triaged_daemon",
            ):
                await connection.execute(statement.encode())
        await protected(store)


async def test_what_the_daemon_leaves_for_the_administrator_is_not_run(own_cluster: Path) -> None:
    traps = """
    create or replace function spring() returns trigger language plpgsql as $$
    begin alter role triaged_daemon superuser; return new; end $$;
    create or replace trigger trap before insert or update on schema_migrations
      for each row execute function spring();
    create or replace function has_table_privilege(text, oid, text) returns boolean
      language plpgsql as $$ begin alter role triaged_daemon superuser; return true; end $$;
    create or replace view pg_class as select has_table_privilege('', 0::oid, '') as oid;
    """
    async with opened(own_cluster) as store, store.pool.connection() as connection:
        await connection.execute(traps.encode())
    async with opened(own_cluster) as store:
        await protected(store)
        async with store.pool.connection() as connection:
            await connection.execute(
                b"drop view public.pg_class; drop trigger trap on schema_migrations;"
                b" drop function public.has_table_privilege(text, oid, text), spring()"
            )


async def test_a_start_finds_nothing_to_set_right_the_second_time(own_cluster: Path) -> None:
    async with opened(own_cluster) as store:
        assert store.server is not None
        conninfo = store.server.conninfo(role=ADMINISTRATOR)
        async with administrator(conninfo) as connection:
            assert await settle(connection) == ()
        found = owners(conninfo)
        assert found[ADMINISTRATOR] == {"ledger"}
        assert {"events", "events_default", "schema_migrations", "incidents"} <= found[DAEMON]
        with psycopg.connect(conninfo) as intruder:
            intruder.execute("grant update (body) on ledger to public")
            intruder.execute("alter table ledger disable trigger ledger_append_only")
        loose = await _inspected(store)
        assert not loose.by_rights
        assert "nothing protects it" in loose.words
        async with administrator(conninfo) as connection:
            assert len(await settle(connection)) == 2
        tight = await _inspected(store)
        assert tight.by_rights
        assert "is missing or switched off" in tight.words
        with psycopg.connect(conninfo) as intruder:
            intruder.execute("alter table ledger enable trigger ledger_append_only")


async def _inspected(store: Store) -> Protection:
    async with store.pool.connection() as connection:
        found = await inspect(connection)
    assert found is not None
    return found


async def test_a_cluster_of_an_older_release_is_taken_over(state_dir: Path) -> None:
    server = EmbeddedServer(directory=state_dir / "postgres", settings=EmbeddedSettings())
    await server.start(attach=False)
    conninfo = server.conninfo(role=ADMINISTRATOR)
    settings = StoreSettings(pool_min=1, pool_max=2)
    old = Database(conninfo=conninfo, settings=settings)
    await old.open(wait_seconds=10)
    await migrate(old, wanted=packaged()[:NOT_YET_SAFE])
    await Maintenance(database=old, settings=settings).prepare()
    for number in range(5):
        await record(old, number)
    head = (await ledger.verify(old)).head
    await old.close()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("drop role triaged_daemon")
    await server.stop()

    async with opened(state_dir) as store:
        await protected(store)
        await record(store.pool, 6)
        assert (await ledger.verify(store.pool, expected=head)).holds
        await store.maintenance.run()
        assert owners(conninfo)[ADMINISTRATOR] == {"ledger"}


async def test_what_is_restored_is_protected(state_dir: Path) -> None:
    target = state_dir / "backup"
    async with opened(state_dir) as store:
        for number in range(5):
            await record(store.pool, number)
        head = (await ledger.verify(store.pool)).head
        await backup(store, target=target)
        await record(store.pool, 6)
        for _ in range(2):  # what was restored can be replaced again
            await restore(store, source=target)
            await protected(store)
            assert (await ledger.verify(store.pool, expected=head)).entries == 6  # says so itself
        damaged = state_dir / "damaged"
        damaged.write_bytes(target.read_bytes()[:-2000])
        with pytest.raises(StoreSetupError, match="pg_restore"):
            await restore(store, source=damaged)
        await protected(store)
        await record(store.pool, 7)
        await store.maintenance.run()
    async with opened(state_dir) as store:
        await protected(store)
        assert (await ledger.verify(store.pool)).entries == 7


# --- a database that the operator provides --------------------------------------------------------


@pytest.fixture
def provided(postgres_server) -> Iterator[str]:
    """An empty database of the daemon's role, as an administrator makes one for it. The name is
    the superuser's connection string."""
    name = "provided"
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} owner {}").format(
                sql.Identifier(name), sql.Identifier(DAEMON)
            )
        )
    yield postgres_server.conninfo(database=name)
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute("drop database provided with (force)")
        connection.execute("drop role if exists triaged_ledger")


def documented(which: int) -> str:
    """The statements of docs/operation.md, for the names that are used here."""
    blocks = re.findall(r"```sql\n(.*?)```", OPERATION.read_text(encoding="utf-8"), re.DOTALL)
    text = re.sub(r"\btriaged\b", DAEMON, blocks[which])
    return text.replace(f"alter database {DAEMON}", "alter database provided")


async def test_the_documented_statements_protect_a_provided_database(
    provided: str, state_dir: Path
) -> None:
    settings = StoreSettings(dsn=make_conninfo(provided, user=DAEMON), pool_min=1, pool_max=4)
    async with open_store(settings, state_dir) as store:
        assert store.protection is not None
        assert not store.protection.by_rights
        assert "protected by its trigger only: the role triaged_daemon owns" in (
            store.protection.words
        )
        await record(store.pool, 1)
    with psycopg.connect(provided, autocommit=True) as connection:
        connection.execute(documented(0).encode())
    target = state_dir / "backup"
    async with open_store(settings, state_dir) as store:
        found = await protected(store)
        assert found.owner == "triaged_ledger"
        await record(store.pool, 2)
        head = (await ledger.verify(store.pool)).head
        await store.maintenance.run()
        await backup(store, target=target)
        with pytest.raises(StoreSetupError, match=r"may not replace the ledger.*operation\.md"):
            await restore(store, source=target)
    with psycopg.connect(provided, autocommit=True) as connection:
        connection.execute(documented(1).encode())
    async with open_store(settings, state_dir) as store:
        await restore(store, source=target)
    with psycopg.connect(provided, autocommit=True) as connection:
        again = documented(0).partition("\n")[2]
        connection.execute(again.encode())
    async with open_store(settings, state_dir) as store:
        await protected(store)
        assert (await ledger.verify(store.pool, expected=head)).entries == 3


async def test_a_superuser_is_told_that_only_the_trigger_protects(
    database: str, state_dir: Path
) -> None:
    async with open_store(StoreSettings(dsn=database), state_dir) as store:
        assert store.protection is not None
        assert "is a superuser" in store.protection.words
    indirect = make_conninfo(database, options=f"-c role={DAEMON}")
    async with open_store(StoreSettings(dsn=indirect), state_dir) as store:
        assert store.protection is not None
        assert not store.protection.by_rights  # RESET ROLE leads back


async def test_commands_verify_while_the_daemon_runs_and_when_it_does_not(
    own_cluster: Path,
) -> None:
    async def audit() -> dict[str, object]:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("triaged")), "--state-dir", str(own_cluster)),
            *("audit", "verify", "--json"),
            stdout=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TRIAGED_CONFIG": ""},
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        found: dict[str, object] = json.loads(said)
        return found

    alone = await audit()
    async with opened(own_cluster) as store:
        found = await audit()
        assert found["head"] == str((await ledger.verify(store.pool)).head)
    assert alone == found
    assert "triaged_daemon can only add" in str(found["protection"])
