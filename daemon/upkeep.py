"""What recurs: the store's maintenance, every hour."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from daemon.store.errors import StoreUnavailableError
from daemon.store.partitions import MaintenanceReport

log = structlog.get_logger()

_INTERVAL = 3600.0
_AGAIN = 60.0


class Maintained(Protocol):
    """`daemon.store.partitions.Maintenance`."""

    async def run(self) -> MaintenanceReport: ...


async def maintain(store: Maintained) -> None:
    """Runs the maintenance every hour until cancelled; sooner again while the store is away."""
    alarms: tuple[str, ...] = ()
    while True:
        pause = _INTERVAL
        try:
            report = await store.run()
        except StoreUnavailableError:
            pause = _AGAIN
        else:
            if report.alarms != alarms:
                for alarm in report.alarms:
                    log.warning("store maintenance", alarm=alarm)
            alarms = report.alarms
        await asyncio.sleep(pause)
