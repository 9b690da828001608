"""The daemon under its signals: started, kept, started anew with another configuration, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import structlog

from daemon.app import Daemon, Progress
from daemon.cli.exits import CommandError, Exit
from daemon.cli.screen import Screen
from daemon.config.settings import Settings
from daemon.errors import StartError
from daemon.heap import settle_heap
from daemon.intake.rules import RuleError, load_rules
from daemon.runtime import Failure
from daemon.service import ServiceManager
from daemon.sources.base import SourceState
from daemon.state_folder import StateFolderError
from daemon.store.errors import StoreError

log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What signals asked for."""

    stop: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    reload: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class Start(Protocol):
    """`daemon.app.start_daemon`, or `daemon.api_process.start_api`."""

    def __call__(
        self, settings: Settings, *, state_dir: Path, progress: Progress
    ) -> contextlib.AbstractAsyncContextManager[Daemon]: ...


class Keeper:
    """Runs the daemon until a signal, or until a part fails. `read` reads the configuration again
    and raises `CommandError`."""

    def __init__(
        self,
        *,
        start: Start,
        settings: Settings,
        read: Callable[[], Settings],
        state: Path,
        screen: Screen,
        manager: ServiceManager,
    ) -> None:
        self._start = start
        self._settings = settings
        self._read = read
        self._state = state
        self._screen = screen
        self._manager = manager
        self._status = "starting"
        self._daemon: Daemon | None = None

    async def run(self) -> int:
        """The exit code."""
        asked = Asked()
        with signals(asked, told=self._screen.told):
            async with self._manager.alive(self._describe):
                before: Settings | None = None
                while True:
                    try:
                        following = await self._serve(asked)
                    except (StartError, StateFolderError, StoreError, OSError) as error:
                        # Nobody is helped by a host that is no longer watched.
                        if before is None:
                            raise
                        log.error("the new configuration does not start", why=str(error))
                        self._settings, before = before, None
                        continue
                    if isinstance(following, int):
                        return following
                    before, self._settings = self._settings, following

    async def _serve(self, asked: Asked) -> int | Settings:
        """Runs one configuration. Returns the exit code, or the next configuration."""
        started = time.monotonic()
        current = asyncio.current_task()
        watcher = asyncio.create_task(_cancel_on(asked.stop, current), name="stop while starting")
        failed = False
        following: Settings | None = None
        try:
            async with self._start(
                self._settings,
                state_dir=self._state,
                progress=Progress(part=self._part, server=self._screen.server),
            ) as daemon:
                watcher.cancel()
                if asked.stop.is_set():
                    return 0
                self._screen.ready(daemon, seconds=time.monotonic() - started)
                settle_heap()
                self._daemon = daemon
                self._manager.ready(self._describe())
                async with asyncio.TaskGroup() as group:
                    showing = group.create_task(self._screen.follow(daemon))
                    following = await self._until(asked, daemon.failure)
                    showing.cancel()
                self._daemon = None
                self._screen.stopping()
                if following is None:
                    self._manager.stopping("stopping: sources, facade, workers, store, models")
                self._status = "stopping"
                failed = daemon.failure.error is not None
        except asyncio.CancelledError:
            if not asked.stop.is_set():
                raise
            return 0
        finally:
            watcher.cancel()
            self._daemon = None
        if following is not None:
            return following
        self._screen.stopped()
        return int(Exit.FAILED) if failed else 0

    async def _until(self, asked: Asked, failure: Failure) -> Settings | None:
        """Waits for a signal to stop or a failure: None; or for another configuration."""
        while True:
            waits = [
                asyncio.create_task(wait)
                for wait in (asked.stop.wait(), failure.wait(), asked.reload.wait())
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in waits:
                task.cancel()
            if asked.stop.is_set() or failure.error is not None:
                return None
            asked.reload.clear()
            if (following := await self._read_again()) is not None:
                return following

    async def _read_again(self) -> Settings | None:
        """What can be found wrong is found before anything that runs is touched."""
        self._manager.reloading("reading the configuration again")
        try:
            found = await asyncio.to_thread(self._read)
            await asyncio.to_thread(load_rules, found.intake.rules)
        except (CommandError, RuleError) as error:
            log.error("the configuration is kept as it was", why=str(error))
        else:
            if found != self._settings or found.intake.rules:
                log.info("the configuration has changed: starting anew with it")
                return found
            log.info("the configuration has not changed")
        self._manager.ready(self._describe())
        return None

    def _part(self, name: str, detail: str) -> None:
        self._screen.part(name, detail)
        self._status = f"starting: {name}: {detail}"

    def _describe(self) -> str:
        return self._status if self._daemon is None else describe(self._daemon)


def describe(daemon: Daemon) -> str:
    """How the daemon is, in one sentence."""
    sources = [s for s in daemon.sources() if s.state is not SourceState.ABSENT]
    reading = sum(s.state is SourceState.RUNNING for s in sources)
    servers = daemon.servers()
    # An endpoint that somebody else runs has no state of ours.
    away = [s.tier.value for s in servers if s.port is not None and not s.state.serves]
    tiers = f"no model for: {', '.join(away)}" if away else f"{len(servers)} tiers"
    where = "the API is a process apart" if daemon.apart else daemon.url
    read = f"{reading} of {len(sources)} sources; " if sources else ""
    return f"{where}; {read}{tiers}"


async def _cancel_on(stop: asyncio.Event, task: asyncio.Task[object] | None) -> None:
    await stop.wait()
    if task is not None:
        task.cancel()


@contextlib.contextmanager
def signals(asked: Asked, *, told: Callable[[str], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops in order; the third ends the process where it is. So does
    a terminal that goes away, unless we were told to outlive it (nohup); without a terminal SIGHUP
    asks to read the configuration again."""
    loop = asyncio.get_running_loop()
    count = 0

    def ended() -> None:
        nonlocal count
        count += 1
        asked.stop.set()
        if count == 2:
            told("stopping already; once more ends it at once")
        elif count > 2:
            os._exit(130)

    def hung_up() -> None:
        (asked.stop if on_terminal else asked.reload).set()

    on_terminal = any(os.isatty(descriptor) for descriptor in (0, 1, 2))
    handlers = {signal.SIGINT: ended, signal.SIGTERM: ended}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = hung_up
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
