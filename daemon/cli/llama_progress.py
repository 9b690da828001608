"""How a build looks on a terminal: a bar, the file being compiled, the compiler on demand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from daemon.cli.context import err
from daemon.cli.render import line as one_line
from tiers.llama_build.progress import step_in

_WORDS = 44
_PLAIN_EVERY_SECONDS = 30.0


class BuildDisplay:
    """Everything goes to stderr. Without a terminal a line is written now and then instead of a
    bar; `verbose` unfolds what git, cmake and the compiler print."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=err,
            disable=not err.is_terminal,
            transient=True,
        )
        self._task = self._bars.add_task("", total=1.0, visible=False)
        self._said_at = time.monotonic()

    def __enter__(self) -> BuildDisplay:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            err.print("stopped; the same command goes on from here", markup=False)

    def close(self) -> None:
        """Takes the bar away."""
        self._bars.stop()

    def stage(self, words: str) -> None:
        self._bars.update(self._task, visible=False, completed=0.0)
        err.print(one_line(words), markup=False, style="bold")

    def line(self, line: str) -> None:
        step = step_in(line)
        if step is not None:
            what = one_line(step.what)[:_WORDS]
            self._bars.update(
                self._task, description=f"{what:{_WORDS}}", completed=step.share, visible=True
            )
            self._plainly(step.share, what)
        if self._verbose:
            err.print(one_line(line), markup=False, style="dim")

    def fell_back(self, words: str, said: tuple[str, ...]) -> None:
        self._bars.update(self._task, visible=False, completed=0.0)
        self.show_said(said)
        err.print(f"left out: {one_line(words)}", markup=False, style="yellow")

    def show_said(self, said: Sequence[str]) -> None:
        """The last words of a step that failed."""
        if not self._verbose:
            for each in said:
                err.print(Text(f"  {one_line(each)}", style="dim"))

    def _plainly(self, share: float, what: str) -> None:
        now = time.monotonic()
        if err.is_terminal or self._verbose or now - self._said_at < _PLAIN_EVERY_SECONDS:
            return
        self._said_at = now
        err.print(f"{share:4.0%} {what}", markup=False)
