"""Texts that no index has room for: nothing waits for them, and nothing else is lost."""

from __future__ import annotations

import dataclasses
import random

import psycopg
import pytest
from intake_samples import batch, fingerprint

from daemon.store.errors import StoreRejectedError
from daemon.store.pool import Database
from daemon.store.prepared import Alias, Group
from daemon.store.settings import StoreSettings
from daemon.store.writer import Writer
from tiers.vocabulary import SourceKind


def _incompressible(characters: int) -> str:
    chance = random.Random(5)
    return "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(characters))


async def test_an_alias_of_any_length_stops_nothing(
    database: str, store_settings: StoreSettings
) -> None:
    store = Database(conninfo=database, settings=store_settings, application_name="test")
    await store.open(wait_seconds=5)
    try:
        sample = batch()
        aliases = tuple(
            Alias(
                source_kind=SourceKind.FILE,
                unit="sshd",
                masked=masked,
                fingerprint=fingerprint("Failed password"),
            )
            for masked in (_incompressible(4_096), _incompressible(700))
        )
        group = Group.of([dataclasses.replace(sample, aliases=aliases)])
        done = await Writer(database=store).commit(group, seconds=5)
        assert not done.rejected
        with psycopg.connect(database) as connection:
            rows = connection.execute("select length(masked) from pattern_aliases").fetchall()
            counted = connection.execute("select sum(received), sum(dropped) from intake_counters")
            assert counted.fetchall() == [(sample.received, 0)]
        assert rows == [(700,)]
    finally:
        await store.close()


async def test_what_an_index_refuses_is_refused_and_not_waited_for(
    database: str, store_settings: StoreSettings
) -> None:
    store = Database(conninfo=database, settings=store_settings, application_name="test")
    await store.open(wait_seconds=5)
    try:
        with pytest.raises(StoreRejectedError):
            async with store.transaction() as connection:
                await connection.execute(
                    "insert into event_keys (source, key) values ('x', %s)",
                    (_incompressible(8_000),),
                )
        assert store.available
    finally:
        await store.close()
