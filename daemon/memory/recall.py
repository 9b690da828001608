"""Memory as the rest of the daemon sees it: never in the way of triage."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from daemon.memory.embed import Embedder, EmbeddingError
from daemon.memory.entries import MemoryEntry
from daemon.memory.index import IndexUnusableError, MemoryIndex, set_aside
from tiers.contracts import PastIncident

log = structlog.get_logger()
T = TypeVar("T")

_BATCH = 200

Everything = Callable[[], AsyncIterator[MemoryEntry]]
"""Reads every closed incident from the store, for a rebuild."""


class MemoryState(enum.StrEnum):
    """What the operator sees of memory."""

    OPENING = "opening"
    READY = "ready"
    OFF = "off"
    UNUSABLE = "unusable"


class Memory:
    """Remembers closed incidents and recalls similar ones.

    Satisfies `tiers.contracts.Recall`. All of ChromaDB runs on one thread of its own; a recall that
    takes longer than `timeout` seconds answers nothing, and triage goes on.
    """

    def __init__(
        self, *, folder: Path, embedder: Embedder, timeout: float, everything: Everything
    ) -> None:
        self._folder = folder
        self._embedder = embedder
        self._timeout = timeout
        self._everything = everything
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        self._index: MemoryIndex | None = None
        self._slow = False
        self._changing = asyncio.Lock()
        self.state = MemoryState.OPENING
        self.detail = "opening"

    async def open(self) -> None:
        """Opens the index; one that cannot be used is set aside and made again from the store.
        Never raises: triage goes on without memory."""
        async with self._changing:
            try:
                try:
                    self._index = await self._run(self._make)
                except IndexUnusableError as error:
                    if not error.rebuild:
                        raise
                    log.warning("memory is made again", why=str(error))
                    await self._make_again()
                await self._ready()
            except (IndexUnusableError, EmbeddingError, OSError) as error:
                await self._unusable(f"memory cannot be used: {error}")
            except Exception as error:  # the store, which the caller reads from
                log.error("memory could not be filled", exc_info=error)
                await self._unusable(f"memory could not be filled: {error}")

    async def similar(self, *, text: str, limit: int) -> Sequence[PastIncident]:
        """Past incidents that look like `text`, best first; none when memory is not there in
        time."""
        index = self._index
        if index is None or limit < 1:
            return ()
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._run(lambda: index.search(text, limit=limit))
        except (TimeoutError, EmbeddingError, IndexUnusableError) as error:
            self._say_slow(str(error) or f"no answer within {self._timeout:g} s")
            return ()
        self._say_slow(None)
        return found

    async def remember(self, entry: MemoryEntry) -> None:
        """Adds a closed incident. What cannot be added now is added by the next rebuild."""
        index = self._index
        if index is None:
            return
        try:
            await self._run(lambda: index.add([entry]))
        except (EmbeddingError, IndexUnusableError) as error:
            log.warning("incident not remembered", incident=entry.incident_id, why=str(error))

    async def rebuild(self) -> int:
        """Makes the index again from the store; returns how many entries it has. Raises
        `IndexUnusableError`, `EmbeddingError`."""
        async with self._changing:
            try:
                await self._make_again()
                return await self._ready()
            except Exception as error:  # told to the caller, and kept for whoever looks later
                await self._unusable(f"memory could not be made again: {error}")
                raise

    async def close(self) -> None:
        """Closes the index and ends the thread."""
        async with self._changing:
            with contextlib.suppress(IndexUnusableError):
                await self._release()
            self.state, self.detail = MemoryState.OFF, "closed"
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _release(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            await self._run(index.close)

    async def _make_again(self) -> None:
        self.state, self.detail = MemoryState.OPENING, "being made again"
        with contextlib.suppress(IndexUnusableError):
            await self._release()
        await self._run(lambda: set_aside(self._folder))
        index = await self._run(self._make)
        try:
            await self._fill(index)
        except BaseException:
            await self._run(index.close)
            raise
        self._index = index

    def _make(self) -> MemoryIndex:
        return MemoryIndex(folder=self._folder, embedder=self._embedder)

    async def _fill(self, index: MemoryIndex) -> None:
        batch: list[MemoryEntry] = []
        async for entry in self._everything():
            batch.append(entry)
            if len(batch) == _BATCH:
                await self._add(index, batch)
                batch = []
        await self._add(index, batch)

    async def _add(self, index: MemoryIndex, batch: list[MemoryEntry]) -> None:
        await self._run(lambda: index.add(batch))

    async def _ready(self) -> int:
        index = self._index
        count = await self._run(index.count) if index is not None else 0
        self.state, self.detail = MemoryState.READY, f"{count} incidents remembered"
        return count

    async def _unusable(self, why: str) -> None:
        with contextlib.suppress(IndexUnusableError):
            await self._release()
        self.state, self.detail = MemoryState.UNUSABLE, why
        log.warning("triage goes on without memory", why=why)

    def _say_slow(self, why: str | None) -> None:
        """One line when recall begins to fail and one when it works again."""
        if why is not None and not self._slow:
            log.warning("recall failed; triage goes on without it", why=why)
        elif why is None and self._slow:
            log.info("recall works again")
        self._slow = why is not None

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
