"""The status while the store hangs: told of in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from psycopg.conninfo import make_conninfo

from api.ports import BusyError, EventFilter, Health, IncidentFilter
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings
from daemon.views import events as events_view
from daemon.views import incidents as incidents_view
from daemon.views import status as status_view
from daemon.views.giving_up import GivingUp
from daemon.views.status import Parts, StatusView


class HangingDatabase:
    """A PostgreSQL that was stopped in the middle: nothing comes back, not even an error."""

    def __init__(self) -> None:
        self.back = asyncio.Event()

    def connection(self) -> HangingDatabase:
        return self

    async def __aenter__(self) -> None:
        while not self.back.is_set():
            # A driver that waits for the server's word on the cancelling does not end at once.
            with contextlib.suppress(asyncio.CancelledError):
                await self.back.wait()
        raise asyncio.CancelledError

    async def __aexit__(self, *_: object) -> None:
        pass


async def test_a_store_that_hangs_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_view, "_PATIENCE", 0.05)
    database = HangingDatabase()
    view = StatusView(
        database=cast("Database", database),
        parts=Parts(
            servers=tuple,
            sources=tuple,
            memory=None,
            waiting_batches=lambda: 0,
            model_calls=dict,
            overflowed=lambda: 0,
        ),
        version="1",
        host="h",
        started_at=datetime.now(tz=UTC),
    )
    async with asyncio.timeout(2):
        found = await view.status()
    assert not found.ready
    (store,) = (part for part in found.parts if part.name == "store")
    assert store.health is Health.DOWN
    assert "does not answer" in store.detail
    database.back.set()
    await asyncio.sleep(0.01)


async def test_work_that_ends_in_time_is_waited_for() -> None:
    giving_up = GivingUp(name="work", seconds=1)
    assert await giving_up.run(asyncio.sleep(0, result=7)) == 7

    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await giving_up.run(fails())


@pytest.mark.parametrize("asked", ["events", "incidents", "incident", "ledger"])
async def test_who_reads_while_the_store_hangs_is_told_to_try_again(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (events_view, incidents_view, status_view):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    database = HangingDatabase()
    hanging = cast("Database", database)
    events = events_view.EventsView(
        database=hanging, emit=cast("Any", None), host="h", text_limit=100
    )
    incidents = incidents_view.IncidentsView(database=hanging, memory=None, on_mutes=lambda: None)
    status = StatusView(
        database=hanging,
        parts=cast("Any", None),
        version="1",
        host="h",
        started_at=datetime.now(UTC),
    )
    questions = {
        "events": lambda: events.query(EventFilter()),
        "incidents": lambda: incidents.find(IncidentFilter()),
        "incident": lambda: incidents.show(1),
        "ledger": lambda: status.ledger(after=0, limit=10),
    }
    async with asyncio.timeout(2):
        with pytest.raises(BusyError, match="did not answer"):
            await questions[asked]()
    database.back.set()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("role", "health", "words"),
    [
        ("triaged_daemon", Health.OK, "can only add to it"),
        ("triaged", Health.ABSENT, "protected by its trigger only"),
    ],
)
async def test_the_status_says_what_protects_the_ledger(
    database: str, store_settings: StoreSettings, role: str, health: Health, words: str
) -> None:
    opened = Database(conninfo=make_conninfo(database, user=role), settings=store_settings)
    await opened.open(wait_seconds=10)
    view = StatusView(
        database=opened,
        parts=Parts(
            servers=tuple,
            sources=tuple,
            memory=None,
            waiting_batches=lambda: 0,
            model_calls=dict,
            overflowed=lambda: 0,
        ),
        version="1",
        host="h",
        started_at=datetime.now(tz=UTC),
    )
    found = await view.status()
    (part,) = (part for part in found.parts if part.name == "ledger")
    assert (part.health, part.required) == (health, False)
    assert words in part.detail
    assert found.ready
    await opened.close()
