"""`triaged run`: the daemon, and on a terminal what it does as it does it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TextIO, cast

import structlog
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.ports import LiveItem
from daemon.app import Daemon, Progress, start_daemon
from daemon.cli.context import Context
from daemon.cli.ending import run_to_the_end
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import STYLES, clean
from daemon.config.settings import Settings
from daemon.errors import StartError
from daemon.heap import settle_heap
from daemon.intake.rules import RuleError
from daemon.logs import configure_logs
from daemon.patient import PatientStream
from daemon.sources.base import SourceState
from daemon.sources.supervise import SourceStatus
from daemon.state_folder import StateFolderError, prepare_state
from daemon.store.errors import StoreError
from tiers.errors import TierRefusedError
from tiers.runtime.states import ServerState, ServerStatus

log = structlog.get_logger()

_MARKS = {"incident": "!", "assessment": "=", "verdict": "?", "event": "+"}
_SOURCES_SETTLE = 3.0


def register(app: typer.Typer) -> None:
    app.command("run", epilog="triaged run --state-dir /srv/triaged")(run)


def run(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not show what happens; log only.")
    ] = False,
) -> None:
    """Watch this host. Ctrl-C stops everything in order."""
    shared: Context = context.obj
    loaded = shared.load()
    settings = loaded.settings
    # On a terminal the screen tells what starts and runs; the log adds only what is wrong.
    watched = not quiet and sys.stderr.isatty() and settings.log.level == "info"
    state = shared.state(loaded)
    try:
        prepare_state(state, environ=os.environ)
    except StateFolderError as error:
        raise CommandError(str(error)) from error
    where = str(loaded.path) if loaded.path is not None else "built-in defaults"
    level = "warning" if watched else settings.log.level
    try:
        with _patient_output() as (console, errors, flush):
            configure_logs(level=level, format=settings.log.format, stream=errors)
            screen = Screen(console=console, shown=not quiet, config=where, state=state)
            code = run_to_the_end(_main(settings, state, screen), flush=flush)
    except (StartError, StateFolderError) as error:
        raise CommandError(str(error)) from error
    except RuleError as error:
        raise CommandError(str(error), code=Exit.CONFIG) from error
    except (StoreError, TierRefusedError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:  # a full or broken disk: every other has its own sentence by now
        raise CommandError(f"this host does not let triaged run: {error}") from error
    if code:
        raise typer.Exit(code)


@contextlib.contextmanager
def _patient_output() -> Iterator[tuple[Console, TextIO, Callable[[], None]]]:
    """Where the screen and the log go: neither a stopped terminal nor a closed pipe stops us.
    Third comes what gives the rest a moment to be written."""
    shown, errors = PatientStream(sys.stdout), PatientStream(sys.stderr)

    def close() -> None:
        shown.close()
        errors.close()

    try:
        yield (
            Console(file=cast("TextIO", shown), highlight=False, soft_wrap=True),
            cast("TextIO", errors),
            close,
        )
    finally:
        close()


async def _main(settings: Settings, state: Path, screen: Screen) -> int:
    """Runs until a signal, or until a part fails; returns the exit code."""
    stop = asyncio.Event()
    started = time.monotonic()
    with _signals(stop, screen):
        starting = asyncio.current_task()
        watcher = asyncio.create_task(_cancel_on(stop, starting), name="stop while starting")
        try:
            async with start_daemon(
                settings,
                state_dir=state,
                progress=Progress(part=screen.part, server=screen.server),
            ) as daemon:
                watcher.cancel()
                if stop.is_set():
                    return 0
                screen.ready(daemon, seconds=time.monotonic() - started)
                settle_heap()
                async with asyncio.TaskGroup() as group:
                    showing = group.create_task(screen.follow(daemon))
                    await _first(stop, daemon)
                    showing.cancel()
                screen.stopping()
                failed = daemon.failure.error is not None
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
            return 0
        finally:
            watcher.cancel()
    screen.stopped()
    return int(Exit.FAILED) if failed else 0


async def _first(stop: asyncio.Event, daemon: Daemon) -> None:
    """Returns when a signal came or a part failed."""
    waits = [
        asyncio.create_task(stop.wait()),
        asyncio.create_task(daemon.failure.wait()),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()


async def _cancel_on(stop: asyncio.Event, task: asyncio.Task[object] | None) -> None:
    await stop.wait()
    if task is not None:
        task.cancel()


@contextlib.contextmanager
def _signals(stop: asyncio.Event, screen: Screen) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops in order; the third ends the process where it is. So does
    a terminal that goes away, unless we were told to outlive it (nohup); without a terminal SIGHUP
    asks to read the configuration again, which takes a restart."""
    loop = asyncio.get_running_loop()
    count = 0

    def asked() -> None:
        nonlocal count
        count += 1
        stop.set()
        if count == 2:
            screen.told("stopping already; once more ends it at once")
        elif count > 2:
            os._exit(130)

    def hung_up() -> None:
        if on_terminal:
            stop.set()
        else:
            log.warning("SIGHUP changes nothing: restart triaged to read its configuration again")

    on_terminal = any(os.isatty(descriptor) for descriptor in (0, 1, 2))
    handlers = {signal.SIGINT: asked, signal.SIGTERM: asked}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = hung_up
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


class Screen:
    """What a person sees. Nothing of it is needed by the daemon."""

    def __init__(self, *, console: Console, shown: bool, config: str, state: Path) -> None:
        self._console = console
        self._shown = shown
        self._servers: dict[str, ServerState] = {}
        self._say(Text.assemble(("triaged", "bold"), f"  configuration: {config}, state: {state}"))

    def part(self, name: str, detail: str) -> None:
        """A part that has started."""
        self._line(name, detail)

    def server(self, status: ServerStatus) -> None:
        """A llama-server whose state changed: ready, or trouble."""
        before = self._servers.get(status.tier.value)
        self._servers[status.tier.value] = status.state
        told = {ServerState.READY, ServerState.FAILED, ServerState.COOLING, ServerState.STALLED}
        if status.state not in told or before in (status.state, ServerState.BUSY):
            return
        words = f"{status.state.value} at {status.url} with {status.model}"
        detail = f": {status.detail}" if status.detail else ""
        self._line(f"tier {status.tier.value}", words + detail)

    def ready(self, daemon: Daemon, *, seconds: float) -> None:
        """Everything answers."""
        self._say(Text(f"\nready in {seconds:.1f} s", style="bold green"))
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column()
        table.add_row("chat", f"{daemon.url}/v1  (OpenAI-compatible, model 'triaged')")
        table.add_row("status", f"{daemon.url}/readyz  {daemon.url}/metrics")
        table.add_row("incidents", f"{daemon.url}/api/v1/incidents")
        table.add_row("try", f'{_how_called()} ask "how full is the disk?"')
        if self._shown:
            self._console.print(table)

    async def follow(self, daemon: Daemon) -> None:
        """Prints sources once they have settled, then what happens."""
        if not self._shown:
            return
        items = daemon.live.follow()
        showing = asyncio.create_task(self._show_items(items))
        try:
            await asyncio.sleep(_SOURCES_SETTLE)
            self._sources(daemon.sources())
            await showing
        finally:
            showing.cancel()

    async def _show_items(self, items: AsyncIterator[LiveItem]) -> None:
        async for item in items:
            self.item(item)

    def item(self, item: LiveItem) -> None:
        """One line of what happens."""
        at = item.at.astimezone().strftime("%H:%M:%S")
        self._say(
            Text.assemble(
                (f"{at} ", "dim"),
                f"{_MARKS.get(item.kind, ' ')} ",
                (f"{item.severity.value:<8} ", STYLES[item.severity.value]),
                clean(item.text).replace("\n", " "),
            )
        )

    def told(self, words: str) -> None:
        """A word to whoever sits there, also where nothing else is shown."""
        self._console.print(words, markup=False)

    def stopping(self) -> None:
        self._say(Text("\nstopping: sources, facade, workers, store, llama-servers"))

    def stopped(self) -> None:
        self._say(Text("stopped"))

    def _sources(self, sources: Sequence[SourceStatus]) -> None:
        self._say(Text("watching", style="bold"))
        for status in sources:
            words = status.error or status.watching
            style = "dim" if status.state is SourceState.ABSENT else ""
            self._line(f"  {status.name}", f"{status.state.value}: {words}", style=style)

    def _line(self, name: str, detail: str, *, style: str = "") -> None:
        self._say(Text(f"{name:<14} {clean(detail)}", style=style))

    def _say(self, text: Text) -> None:
        if self._shown:
            self._console.print(text)


def _how_called() -> str:
    """The command as it can be typed here: by name where the shell finds it."""
    if shutil.which("triaged") is not None:
        return "triaged"
    called = Path(sys.argv[0])
    try:
        return str(called.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(called)
