"""The status while the store hangs: told of in time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import cast

import pytest

from api.ports import Health
from daemon.store.pool import Database
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
