"""A backup holds everything, and brings it back whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from intake_samples import batch

from daemon.ledger import NewEntry
from daemon.store import accounting, ledger, work
from daemon.store.backup import backup, restore
from daemon.store.errors import StoreSetupError
from daemon.store.migrate import migrate
from daemon.store.open import open_store
from daemon.store.prepared import Group
from daemon.store.settings import StoreSettings
from daemon.store.writer import Writer


async def test_everything_comes_back(database: str, state_dir: Path) -> None:
    target = state_dir / "backup"
    async with open_store(StoreSettings(dsn=database), state_dir) as store:
        writer = Writer(database=store.pool)
        await writer.commit(Group.of([batch(keys="a", cursor={"n": 1})]))
        async with work.begin(store.pool) as unit:
            unit.record(NewEntry(kind="test", actor="a", body={"float": 1e22}))
        kept = (await ledger.verify(store.pool)).head
        assert await backup(store, target=target) == target.stat().st_size > 1000
        assert target.stat().st_mode & 0o077 == 0

        await writer.commit(Group.of([batch(keys="b")]))
        async with work.begin(store.pool) as unit:
            unit.record(NewEntry(kind="test", actor="a", body={"after": "the backup"}))
        replaced = (await ledger.verify(store.pool)).head
        await restore(store, source=target)
        async with store.pool.connection() as connection:
            (counter,) = await accounting.counters(connection)
            events = await (await connection.execute("select count(*) from events")).fetchone()
        assert (counter.received, events) == (10, (1,))
        found = await ledger.verify(store.pool, expected=kept)
        assert found.holds
        assert found.entries == 2
        async with store.pool.connection() as connection:
            (said,) = await ledger.latest(connection, limit=1)
        assert (said.kind, said.content) == ("restore", {"replaced_head": str(replaced)})
        assert await migrate(store.pool) == ()
        again = await writer.commit(Group.of([batch(keys="a")]))
        assert sum(again.redelivered.values()) == 10
        assert {path.name for path in target.parent.iterdir()} == {"backup"}


async def test_a_backup_of_what_was_restored_comes_back_too(state_dir: Path) -> None:
    first, second = state_dir / "first", state_dir / "second"
    async with open_store(StoreSettings(), state_dir, attach=False) as store:
        await Writer(database=store.pool).commit(Group.of([batch(keys="a")]))
        await backup(store, target=first)
        await restore(store, source=first)
        await backup(store, target=second)
        await restore(store, source=second)
        async with store.pool.connection() as connection:
            (counter,) = await accounting.counters(connection)
    assert counter.received == 10


async def test_a_damaged_backup_changes_nothing(database: str, state_dir: Path) -> None:
    async with open_store(StoreSettings(dsn=database), state_dir) as store:
        await Writer(database=store.pool).commit(Group.of([batch()]))
        damaged = state_dir / "damaged"
        await backup(store, target=damaged)
        damaged.write_bytes(damaged.read_bytes()[:-2000])
        with pytest.raises(StoreSetupError, match="pg_restore"):
            await restore(store, source=damaged)
        with pytest.raises(StoreSetupError, match="there is no backup"):
            await restore(store, source=state_dir / "none")
        with pytest.raises(StoreSetupError, match="choose another place"):
            await backup(store, target=state_dir / "no" / "such" / "folder")
        async with store.pool.connection() as connection:
            (counter,) = await accounting.counters(connection)
        assert counter.received == 10


async def test_a_long_path_works_and_no_password_is_shown(state_dir: Path) -> None:
    deep = state_dir / ("d" * 60) / ("e" * 60)
    async with open_store(StoreSettings(), deep, attach=False) as store:
        assert await backup(store, target=state_dir / "backup") > 1000
        assert "conninfo" not in repr(store)
