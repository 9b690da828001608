"""`triaged serve-model`: becomes the llama-server of one tier, for a service manager to keep.

The process id stays, so that systemd sees the server itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit
from tiers.errors import TierRefusedError
from tiers.llm.requests import read_key
from tiers.runtime.binary import find_binary
from tiers.runtime.environment import kept_environment
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.models import server_flags
from tiers.runtime.own_builds import builds_folder
from tiers.runtime.spawn import ONLY_LOCAL_PAGES, command
from tiers.vocabulary import TierName


def register(app: typer.Typer) -> None:
    app.command("serve-model", epilog="triaged serve-model review")(serve_model)


def serve_model(
    context: typer.Context,
    tier: Annotated[TierName, typer.Argument(help="The tier whose model and port are taken.")],
) -> None:
    """Become the llama-server of a tier; systemd's llama-*.service do."""
    shared: Context = context.obj
    loaded = shared.load()
    settings = loaded.settings.tiers.by_name()[tier]
    if settings.endpoint is not None or settings.port == 0:
        message = f"tiers.{tier.value} has an endpoint or no fixed port: there is nothing to serve"
        raise CommandError(message, code=Exit.CONFIG)
    try:
        binary = find_binary(os.environ, builds=builds_folder(shared.state(loaded)))
        flags, _ = server_flags(tier=tier, settings=settings, port=settings.port)
        key = read_key(name=tier.value, settings=settings)
    except (MisconfiguredError, TierRefusedError) as error:
        raise CommandError(str(error), code=Exit.CONFIG) from error
    environment = kept_environment() | ONLY_LOCAL_PAGES
    if key is not None:
        environment["LLAMA_API_KEY"] = key
    try:
        os.chdir(Path("/"))
        # Ours is the manager's child: what we become ends with the manager, as we would.
        program = command(binary, flags, parent=os.getppid())
        os.execve(sys.executable, program, environment)  # noqa: S606 (there is no shell)
    except OSError as error:
        raise CommandError(f"llama-server cannot be started: {error.strerror}") from error
