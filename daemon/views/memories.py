"""Memory as the facade shows it, and how it is made again from the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from api.ports import BusyError, ConflictError
from daemon.escalation.remembered import remembered
from daemon.escalation.states import State
from daemon.memory.embed import EmbeddingError
from daemon.memory.entries import MemoryEntry
from daemon.memory.index import IndexUnusableError
from daemon.memory.recall import Memory
from daemon.store import incident_queries
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database

_PAGE = 200
_ELSEWHERE = (
    "The memory belongs to the daemon and the API runs as a process of its own (api.enabled = "
    "false), which may not open it. Set api.enabled = true to search it; to make it again, stop "
    "the daemon, remove the folder memory in its state folder and start it."
)


class MemoriesView:
    """Satisfies `api.ports.Memories`."""

    def __init__(self, *, memory: Memory | None) -> None:
        self._memory = memory

    async def search(self, *, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        if self._memory is None:
            raise ConflictError("Memory is switched off (memory.enabled).")
        return [
            {
                "incident_id": past.incident_id,
                "title": past.title,
                "cause": past.cause,
                "outcome": past.outcome,
                "similarity": past.similarity,
            }
            for past in await self._memory.similar(text=text, limit=limit)
        ]

    async def rebuild(self) -> int:
        if self._memory is None:
            raise ConflictError("Memory is switched off (memory.enabled).")
        try:
            return await self._memory.rebuild()
        except (IndexUnusableError, EmbeddingError) as error:
            raise ConflictError(str(error)) from error
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error


class MemoriesElsewhere:
    """Satisfies `api.ports.Memories` in a process apart from the daemon: two processes that opened
    the memory would corrupt it."""

    async def search(self, *, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        raise ConflictError(_ELSEWHERE)

    async def rebuild(self) -> int:
        raise ConflictError(_ELSEWHERE)


def closed_incidents(database: Database) -> AsyncIterator[MemoryEntry]:
    """Every closed incident as it is remembered, newest first."""
    return _closed(database)


async def _closed(database: Database) -> AsyncIterator[MemoryEntry]:
    before: int | None = None
    while True:
        async with database.connection() as connection:
            page = await incident_queries.listing(
                connection,
                incident_queries.IncidentFilter(states=[State.CLOSED.value], before=before),
                limit=_PAGE,
            )
            entries = [await remembered(connection, incident) for incident in page]
        for entry in entries:
            yield entry
        if len(page) < _PAGE:
            return
        before = page[-1].id
