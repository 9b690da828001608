"""Tells which files changed, as a hint: what is true is found by looking."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import structlog
import watchfiles

_STEP_MS = 25
_DEBOUNCE_MS = 200
_RETRY_SECONDS = 60.0
_MOST_PATHS = 1_000  # above, "look at everything" is cheaper than remembering names

_log = structlog.get_logger(__name__)


class Changes:
    """Gathers changed paths until somebody looks. Without notifications (no inotify, no watches
    left, a network share) nothing is ever announced and polling has to do."""

    def __init__(self, *, source: str) -> None:
        self._log = _log.bind(source=source)
        self._paths: set[str] = set()
        self._changed = asyncio.Event()
        self._folders: tuple[str, ...] = ()
        self._watcher: asyncio.Task[None] | None = None
        self._polling = False
        self._retry_at = 0.0

    @property
    def polling(self) -> bool:
        """Nothing is announced on this host: look more often."""
        return self._polling

    def watch(self, folders: Sequence[str]) -> None:
        """Watches these folders from now on, not what is below them."""
        folders = tuple(folders)
        if folders == self._folders or asyncio.get_running_loop().time() < self._retry_at:
            return
        self._folders = folders
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = asyncio.create_task(self._run(folders), name="file changes")

    async def wait(self, seconds: float) -> frozenset[str] | None:
        """The paths that changed; None after `seconds` without any: look at everything."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return None
        self._changed.clear()
        paths = frozenset(self._paths)
        self._paths.clear()
        return paths if len(paths) < _MOST_PATHS else None

    async def close(self) -> None:
        """Ends watching."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})
            self._watcher = None

    async def _run(self, folders: tuple[str, ...]) -> None:
        if not folders:
            return
        # It logs each change; in a log that is itself watched that would never end.
        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        try:
            async for changes in watchfiles.awatch(
                *folders,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                recursive=False,
                ignore_permission_denied=True,
            ):
                self._polling = False
                if len(self._paths) < _MOST_PATHS:
                    self._paths.update(path for _, path in changes)
                self._changed.set()
        except (OSError, RuntimeError) as error:
            # A folder vanished, or the host has no watches left (fs.inotify.max_user_watches).
            self._folders = ()  # tried again when the folders are named after the pause
            self._retry_at = asyncio.get_running_loop().time() + _RETRY_SECONDS
            if not self._polling:
                self._polling = True
                self._log.info("file changes are not announced, polling", why=str(error))
