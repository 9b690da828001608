"""The options that every command shares: before its name, or behind it.

`triaged --state-dir X status` and `triaged status --state-dir X` are the same. Where a command has
an option of that name for itself, its own counts.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli.context import Context

Config = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file (TOML).")]
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Where state is kept.")]
Url = Annotated[str | None, typer.Option("--url", help="Where the running daemon answers.")]


def accept_behind(command: Any) -> None:
    """Lets a command and the commands it has take the shared options, without listing them anew in
    each help."""
    taken = {word for param in command.params for word in param.opts}
    for option in _options():
        words = [word for word in option.opts if word not in taken]
        if option.opts[0] in words:
            behind = copy.copy(option)
            behind.opts = words
            command.params.append(behind)
    for each in getattr(command, "commands", {}).values():
        accept_behind(each)


def _options() -> list[Any]:
    holder = typer.Typer(add_completion=False)
    holder.command()(_behind)
    options = typer.main.get_command(holder).params
    for option in options:
        option.hidden = True  # type: ignore[attr-defined]
        option.expose_value = False
        option.callback = _given
    return list(options)


def _behind(config: Config = None, state_dir: StateDir = None, url: Url = None) -> None:
    """Only its options count."""


def _given(context: Any, option: Any, value: Any) -> Any:
    if value is not None:
        before = context.obj or Context(config=None, state_dir=None, url=None)
        context.obj = dataclasses.replace(before, **{option.name: value})
    return value
