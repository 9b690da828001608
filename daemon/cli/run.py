"""`triaged run`: the daemon, and on a terminal what it does as it does it."""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, TextIO, cast

import typer
from rich.console import Console

from daemon.api_process import start_api
from daemon.app import start_daemon
from daemon.cli.context import Context
from daemon.cli.ending import run_to_the_end
from daemon.cli.exits import CommandError, Exit
from daemon.cli.keep_running import Keeper
from daemon.cli.screen import Screen
from daemon.config.settings import Settings
from daemon.errors import StartError
from daemon.intake.rules import RuleError
from daemon.logs import configure_logs
from daemon.patient import PatientStream
from daemon.service import ServiceManager
from daemon.state_folder import StateFolderError, prepare_state
from daemon.store.errors import StoreError
from tiers.errors import TierRefusedError


class Part(enum.StrEnum):
    """What may run as a process of its own."""

    API = "api"


def register(app: typer.Typer) -> None:
    app.command("run", epilog="triaged run --state-dir /srv/triaged")(run)


def run(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not show what happens; log only.")
    ] = False,
    only: Annotated[
        Part | None,
        typer.Option(
            "--only",
            help="Run this part alone, beside a daemon with api.enabled = false.",
        ),
    ] = None,
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

    def read_again() -> Settings:
        found = shared.load()
        if shared.state(found) != state:
            message = f"state_dir has changed: only a restart leaves {state}"
            raise CommandError(message, code=Exit.CONFIG)
        return found.settings

    where = str(loaded.path) if loaded.path is not None else "built-in defaults"
    level = "warning" if watched else settings.log.level
    manager = ServiceManager.from_environ(os.environ, pid=os.getpid())
    try:
        with _patient_output() as (console, errors, flush):
            configure_logs(level=level, format=settings.log.format, stream=errors)
            screen = Screen(console=console, shown=not quiet, config=where, state=state)
            keeper = Keeper(
                start=start_daemon if only is None else start_api,
                settings=settings,
                read=read_again,
                state=state,
                screen=screen,
                manager=manager,
            )
            code = run_to_the_end(keeper.run(), flush=flush)
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
