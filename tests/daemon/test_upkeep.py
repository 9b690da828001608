"""Maintenance that fails is said once, tried again, and stops nothing else."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from daemon import upkeep
from daemon.store.errors import StoreError
from daemon.store.partitions import MaintenanceReport


class _Troubled:
    def __init__(self, troubles: list[Exception | None]) -> None:
        self._troubles = troubles
        self.runs = 0
        self.done = asyncio.Event()

    async def run(self) -> MaintenanceReport:
        self.runs += 1
        if not self._troubles:
            self.done.set()
            return MaintenanceReport()
        trouble = self._troubles.pop(0)
        if trouble is not None:
            raise trouble
        return MaintenanceReport()


async def test_a_defect_is_said_once_and_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_INTERVAL", 0.0)
    monkeypatch.setattr(upkeep, "_AGAIN", 0.0)
    full = OSError(28, "No space left on device")
    store = _Troubled([StoreError("refused"), StoreError("refused"), full, None])
    with capture_logs() as said:
        task = asyncio.create_task(upkeep.maintain(store))
        await asyncio.wait_for(store.done.wait(), 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    words = [(entry["event"], entry.get("why", "")) for entry in said]
    assert words == [
        ("store maintenance failed; trying again", "refused"),
        ("store maintenance failed; trying again", str(full)),
        ("store maintenance works again", ""),
    ]
