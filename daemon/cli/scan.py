"""`triaged scan`: files through intake and the tiers, without a daemon."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from daemon.cli.context import Context, err, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import clean, severity_text
from daemon.heap import settle_heap
from daemon.intake.rules import RuleError
from daemon.logs import configure_logs
from daemon.scan.report import ScanReport, headline
from daemon.scan.scan import ScanProgress, scan_files
from daemon.state_folder import StateFolderError, prepare_state
from daemon.store.errors import StoreError
from tiers.errors import TierError


def register(app: typer.Typer) -> None:
    app.command("scan", epilog="triaged scan --json /var/log/syslog /var/log/auth.log")(scan)


def scan(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Log files, plain or gzip.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    lines: Annotated[
        Path | None, typer.Option("--lines", help="Write a JSON record per input line here.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Where the scan works; cleaned up after.")
    ] = None,
) -> None:
    """Run files through intake and the tiers, without a daemon."""
    shared: Context = context.obj
    loaded = shared.load()
    configure_logs(level="warning", format=loaded.settings.log.format)
    missing = [str(path) for path in files if not path.exists()]
    if missing:
        raise CommandError(f"no such file: {', '.join(missing)}", code=Exit.NOT_FOUND)
    state = (state_dir or shared.state(loaded)).absolute()
    try:
        prepare_state(state, environ=os.environ)
        if lines is not None:
            lines.touch()
    except StateFolderError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename}: cannot be written: {error.strerror}") from error
    told: list[signal.Signals] = []
    settle_heap()
    with _bar() as bar:
        try:
            report = asyncio.run(
                _until_told(
                    scan_files(
                        files,
                        settings=loaded.settings,
                        state_dir=state,
                        lines_out=lines,
                        progress=_progress(bar),
                    ),
                    told,
                )
            )
        except (StoreError, TierError, RuleError, OSError) as error:
            raise CommandError(str(error)) from error
        except asyncio.CancelledError:
            raise typer.Exit(128 + (told or [signal.SIGTERM])[0]) from None
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    for problem in report.problems:
        err.print(f"triaged: {clean(problem)}", style="yellow", markup=False)
    if report.problems:
        raise typer.Exit(int(Exit.FAILED))


async def _until_told(
    work: Coroutine[Any, Any, ScanReport], told: list[signal.Signals]
) -> ScanReport:
    """SIGTERM stops a scan in order, as Ctrl-C does: its servers end and its folder goes. So does
    a terminal that goes away, unless the scan shall outlive it (nohup). `told` gets the signal."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    handled = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handled.append(signal.SIGHUP)

    def stop(number: signal.Signals) -> None:
        told.append(number)
        task.cancel()

    for number in handled:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def _progress(bar: Progress) -> ScanProgress:
    current: list[TaskID] = []

    def step(name: str, total: int) -> None:
        current.append(bar.add_task(name, total=total))

    return ScanProgress(step=step, advance=lambda amount: bar.advance(current[-1], amount))


def _show(report: ScanReport) -> None:
    out.print(
        f"{report.lines} lines = {report.folded} folded + {report.judged} judged + "
        f"{report.dropped} dropped; {report.patterns} patterns; {report.seconds:.1f} s"
    )
    calls = ", ".join(f"{tier} {count}" for tier, count in report.calls.items())
    out.print(f"model calls: {calls}")
    if not report.incidents:
        out.print("no incidents")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("incident", "severity", "what", "cause"):
        table.add_column(column, overflow="fold")
    for detail in report.incidents:
        incident = detail.incident
        table.add_row(
            f"#{incident.id}",
            severity_text(incident.severity.value),
            Text(clean(headline(detail))),
            incident.cause or "not assessed",
        )
    out.print(table)
