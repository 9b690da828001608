"""The `triaged` command: options, commands, and how a command ends."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import Annotated

import typer

from daemon.cli.context import Context, err
from daemon.cli.exits import CommandError
from daemon.cli.render import clean
from daemon.cli.shared_options import Config, StateDir, Url
from daemon.cli.table import Commands

app = typer.Typer(
    name="triaged",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An AI system administrator that runs as a daemon, with local models only.",
    epilog="Start with: triaged run\n\n"
    "--config, --state-dir and --url may stand behind the command too.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"triaged {importlib.metadata.version('triaged')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    config: Config = None,
    state_dir: StateDir = None,
    url: Url = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and stop.",
            is_eager=True,
            callback=_show_version,
        ),
    ] = False,
) -> None:
    """Options that every command shares."""
    context.obj = Context(config=config, state_dir=state_dir, url=url)


def entry() -> None:
    """The console script: every failure is a sentence on stderr and an exit code.

    Usage errors, `typer.Exit` and Ctrl-C are typer's business; our own errors are ours.
    """
    try:
        app()
    except CommandError as error:
        err.print(f"triaged: {clean(error)}", markup=False, style="red")
        sys.exit(int(error.code))
    except BrokenPipeError:
        # The reader has gone (`triaged ... | head`): nothing is left to say, and no traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
