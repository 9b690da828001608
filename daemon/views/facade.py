"""Status as the facade asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prometheus_client.registry import Collector

from api.ports import DaemonStatus, LedgerEntry
from daemon.views.prometheus import render


class Stated(Protocol):
    """`daemon.views.status.StatusView`, and `daemon.views.reported.ReportedStatus` in a process
    apart."""

    async def status(self) -> DaemonStatus: ...

    async def ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]: ...


class StatusPort:
    """Satisfies `api.ports.Status`. `recorded` are metrics that were kept as things happened."""

    def __init__(self, *, status: Stated, recorded: Collector) -> None:
        self._status = status
        self._recorded = recorded

    async def status(self) -> DaemonStatus:
        return await self._status.status()

    async def metrics(self) -> bytes:
        return render(await self._status.status(), self._recorded)

    async def ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]:
        return await self._status.ledger(after=after, limit=limit)
