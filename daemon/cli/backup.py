"""`triaged backup` and `triaged restore`: all state in one file, and back."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from daemon.archive import Archive, load, save
from daemon.cli.context import Context, out, print_json
from daemon.cli.existing import existing_state
from daemon.cli.exits import CommandError, Exit
from daemon.config.settings import Settings
from daemon.facade import keys_path
from daemon.logs import configure_logs
from daemon.state_folder import StateFolderError, held
from daemon.store.errors import StoreError
from daemon.store.open import open_store


def register(app: typer.Typer) -> None:
    app.command("backup", epilog="triaged backup /srv/backup/triaged.tar")(backup)
    app.command("restore", epilog="triaged restore /srv/backup/triaged.tar")(restore)


def backup(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to; default: STATE/backups/TIME.tar.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace FILE where there is one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write all state into one file: database and keys. The daemon may run on."""
    shared: Context = context.obj
    loaded = shared.load()
    state = existing_state(shared, loaded)
    try:
        if file is None:
            file = state / "backups" / f"{datetime.now(tz=UTC):%Y%m%dT%H%M%SZ}.tar"
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = file.absolute()
        if not force and os.path.lexists(file):
            message = (
                f"there is a {file} already; name another file, or write --force to replace it"
            )
            raise CommandError(message)
        _quiet_logs()
        archive = asyncio.run(_backup(loaded.settings, state=state, target=file))
    except OSError as error:
        raise CommandError(_denied(error, state)) from error
    except StoreError as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json({"file": str(file)} | archive.to_json())
        return
    out.print(f"{file}: {archive.bytes / 2**20:.1f} MiB, PostgreSQL {archive.postgres}")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `triaged backup` wrote.")],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask first; for scripts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replace all state by a backup's, while no daemon runs. What is there now is gone then."""
    shared: Context = context.obj
    loaded = shared.load()
    state = shared.state(loaded)
    if not file.is_file():
        raise CommandError(f"there is no backup {file}", code=Exit.NOT_FOUND)
    if not yes and not _agreed(file, state, shown=not as_json):
        raise CommandError("nothing was restored")
    try:
        _quiet_logs()
        with held(state):
            archive = asyncio.run(_restore(loaded.settings, state=state, source=file.absolute()))
    except OSError as error:
        raise CommandError(_denied(error, state)) from error
    except (StoreError, StateFolderError) as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json({"file": str(file)} | archive.to_json())
        return
    at = archive.created.astimezone().strftime("%Y-%m-%d %H:%M")
    out.print(f"as it was on {at} on {archive.host} (triaged {archive.version})", markup=False)


def _agreed(file: Path, state: Path, *, shown: bool) -> bool:
    """Asks on a terminal. Elsewhere nobody could read what is asked."""
    if not shown or not sys.stdin.isatty():
        raise CommandError(
            f"nobody can be asked here: write --yes to replace all that {state} holds by {file}",
            code=Exit.USAGE,
        )
    return typer.confirm(
        f"Replace database, keys and memory of {state} by what {file} holds?", default=False
    )


async def _backup(settings: Settings, *, state: Path, target: Path) -> Archive:
    async with open_store(settings.store, state, application_name="triaged backup") as store:
        return await save(
            store,
            keys=keys_path(settings, state),
            target=target,
            version=importlib.metadata.version("triaged"),
            host=settings.host_name or platform.node(),
        )


async def _restore(settings: Settings, *, state: Path, source: Path) -> Archive:
    async with open_store(
        settings.store, state, attach=False, application_name="triaged restore"
    ) as store:
        return await load(
            store, source=source, keys=keys_path(settings, state), memory=state / "memory"
        )


def _quiet_logs() -> None:
    configure_logs(level="warning", format="console")


def _denied(error: OSError, state: Path) -> str:
    return (
        f"{error.filename or state}: {error.strerror}; run it as the user that the daemon runs as "
        "(runuser -u triaged -- triaged backup), with a file that this user may write"
    )
