"""What a person sees of a running daemon. Nothing of it is needed by the daemon."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.ports import LiveItem
from daemon.app import Daemon
from daemon.cli.render import STYLES, clean
from daemon.sources.base import SourceState
from daemon.sources.supervise import SourceStatus
from tiers.runtime.states import ServerState, ServerStatus

_MARKS = {"incident": "!", "assessment": "=", "verdict": "?", "event": "+"}
_SOURCES_SETTLE = 3.0
_ON_THE_WAY = frozenset(
    {ServerState.ABSENT, ServerState.STARTING, ServerState.LOADING, ServerState.BUSY}
)
"""What comes before each ready or failed start, and between ready and ready."""


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
        """A llama-server whose state changed: ready, or trouble. One that is tried again and again
        is told of once."""
        if status.state in _ON_THE_WAY:
            return
        before = self._servers.get(status.tier.value)
        self._servers[status.tier.value] = status.state
        if status.state is before or status.state is ServerState.STOPPED:
            return
        words = f"{status.state.value} at {status.url} with {status.model}"
        detail = f": {status.detail}" if status.detail else ""
        self._line(f"tier {status.tier.value}", words + detail)

    def ready(self, daemon: Daemon, *, seconds: float) -> None:
        """Everything answers, but for models that the line names."""
        words, style = f"ready in {seconds:.1f} s", "bold green"
        if lacking := without_models(daemon.servers()):
            words, style = f"{words}, {lacking}", "bold yellow"
        self._say(Text(f"\n{words}", style=style))
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column()
        if daemon.apart:
            table.add_row("API", f"at {daemon.url}, once `{_how_called()} run --only api` runs")
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


def without_models(servers: Sequence[ServerStatus]) -> str:
    """Which tiers have no model now, and what that means; "" where all have one."""
    away = [status for status in servers if status.away is not None]
    loading = [status.tier.value for status in away if status.away and status.away.loading]
    down = [status.tier.value for status in away if status.tier.value not in loading]
    words = []
    if down:
        which = "any model" if len(down) == len(servers) else f"the model of {', '.join(down)}"
        words.append(f"without {which}: see above why; rules and notifications go on")
    if loading:
        words.append(f"the model of {', '.join(loading)} is still being loaded")
    return "; ".join(words)


def _how_called() -> str:
    """The command as it can be typed here: by name where the shell finds it."""
    if shutil.which("triaged") is not None:
        return "triaged"
    called = Path(sys.argv[0])
    try:
        return str(called.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(called)
