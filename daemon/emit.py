"""Intake as sources and the facade see it."""

from __future__ import annotations

import dataclasses

from daemon.events import Batch
from daemon.intake.intake import Intake
from daemon.sources.base import Receipt


class HostEmit:
    """Made before intake is, which is set later as `intake`.

    Puts the host before a source's name: daemons of several hosts may share one database, and each
    has a journal of its own.
    """

    intake: Intake

    def __init__(self, *, host: str) -> None:
        self._host = host

    def stored_name(self, source: str) -> str:
        """What a source is called in the store."""
        return f"{self._host}/{source}"

    async def __call__(self, batch: Batch) -> Receipt:
        named = dataclasses.replace(batch, source=self.stored_name(batch.source))
        return await self.intake.emit(named)
