"""`triaged notify`: trying the channels."""

from __future__ import annotations

import asyncio
import platform
from typing import Annotated

import typer

from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.notify.channel import Channel, ChannelError
from daemon.notify.message import Letter
from tiers.vocabulary import Severity

app = typer.Typer(help="Notifications: try the channels.")


@app.callback()
def notify() -> None:
    """Notifications: try the channels."""


@app.command("test", epilog="triaged notify test phone")
def send_test(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Channels; all without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a message through each channel now; exit code 1 if one does not take it."""
    shared: Context = context.obj
    settings = shared.load().settings
    channels = settings.notify.channels
    for name in names or []:
        if name not in channels:
            known = ", ".join(channels) or "none: none is configured"
            raise CommandError(
                f"there is no channel {name!r}; there is {known}", code=Exit.NOT_FOUND
            )
    if not channels:
        message = (
            "no channel is configured; the configuration file needs a [notify.channels.NAME] with "
            "urls or urls_file, see docs/notifications.md"
        )
        raise CommandError(message, code=Exit.CONFIG)
    host = settings.host_name or platform.node()
    letter = Letter(
        title=f"[{host}] triaged: a test",
        body="If you can read this, notifications arrive here.",
        severity=Severity.INFO,
        covers=(),
    )

    async def tried(name: str) -> str:
        try:
            await Channel(name=name, settings=channels[name]).send(letter)
        except ChannelError as error:
            return str(error)
        return ""

    async def all_tried() -> dict[str, str]:
        wanted = names or list(channels)
        return dict(zip(wanted, await asyncio.gather(*map(tried, wanted)), strict=True))

    problems = asyncio.run(all_tried())
    if as_json:
        print_json({name: {"ok": not why, "problem": why} for name, why in problems.items()})
    else:
        for name, why in problems.items():
            out.print(f"{name}: {why or 'sent'}", markup=False)
    if any(problems.values()):
        raise typer.Exit(int(Exit.FAILED))
