"""`triaged llama`: which llama-server runs, and building one for this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.context import Context, err, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.llama_progress import BuildDisplay
from daemon.cli.llama_views import build_document, show_built, show_status, status_document
from daemon.cli.signals import ending_with_signals
from daemon.state_folder import StateFolderError, prepare_state
from tiers.hardware.listed import list_devices
from tiers.hardware.survey import survey
from tiers.llama_build.build import LlamaBuilder
from tiers.llama_build.errors import BuildError, StepError
from tiers.llama_build.store import BuildStore
from tiers.llama_build.values import DEFAULT_TAG, DEFAULT_URL, Backend, BuildRequest
from tiers.runtime.binary import candidates, choose
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.own_builds import builds_folder

app = typer.Typer(help="The llama-server program: which one runs, and building one.")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("status", epilog="triaged llama status --json")
def status(context: typer.Context, as_json: _Json = False) -> None:
    """Which llama-server would run and why, and what each one here can do. Exit code 6: none is
    fit."""
    store = _store(context)
    found = candidates(os.environ, builds=store.folder)
    try:
        binary, problem = choose(found), ""
    except MisconfiguredError as error:
        binary, problem = None, str(error)
    devices, note = list_devices(binary) if binary is not None else ((), "")
    if as_json:
        print_json(
            status_document(
                found, chosen=binary, devices=devices, built=store.in_use(), problem=problem
            )
        )
    else:
        show_status(found, chosen=binary, devices=devices, built=store.in_use())
        for words in (problem, note):
            if words:
                err.print(words, markup=False, style="red")
    if problem:
        raise typer.Exit(int(Exit.FINDINGS))


@app.command(
    "build",
    epilog="triaged llama build\n\ntriaged llama build --source llama.cpp-b11549.tar.gz",
)
def build(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Option("--source", help="A checkout, or an archive (tar, zip); else --tag."),
    ] = None,
    tag: Annotated[str, typer.Option("--tag", help="The git tag that is fetched.")] = DEFAULT_TAG,
    url: Annotated[str, typer.Option("--url", help="The git repository.")] = DEFAULT_URL,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="What the archive must be.")
    ] = None,
    backend: Annotated[
        Backend | None,
        typer.Option("--backend", help="Only this; default: what fits, else the processor."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--build-number", min=1, help="Of a source that does not tell its own."),
    ] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="For other processors than this one, too.")
    ] = False,
    define: Annotated[
        list[str] | None, typer.Option("--define", "-D", help="NAME=VALUE for cmake.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1024, help="Compilers at once.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build although it is there.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what the compiler prints.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Build llama-server from llama.cpp's source for this hardware, tries it, and uses it.

    Interrupted, it goes on where it stopped. What was built before is not built again.
    """
    store = _store(context)
    request = BuildRequest(
        source=source.expanduser() if source is not None else None,
        url=url,
        tag=tag,
        sha256=sha256,
        number=number,
        backend=backend,
        portable=portable,
        jobs=jobs,
        definitions=_definitions(define or []),
        force=force,
    )
    try:
        prepare_state(store.folder.parent, environ=os.environ)
    except StateFolderError as error:
        raise CommandError(str(error)) from error
    machine = survey(folders=[store.folder], builds=store.folder)
    with ending_with_signals(), BuildDisplay(verbose=verbose) as display:
        builder = LlamaBuilder(store=store, machine=machine, environ=os.environ, listener=display)
        try:
            built = builder.build(request)
        except BuildError as error:
            display.close()
            if isinstance(error, StepError):
                display.show_said(error.said)
            raise CommandError(str(error)) from error
    if as_json:
        print_json(build_document(built))
    else:
        show_built(built)
        err.print("It is used at the next start of the daemon.", markup=False, style="dim")
        if os.environ.get("LLAMA_BIN"):
            err.print("$LLAMA_BIN is set and goes before it.", markup=False, style="yellow")


def _definitions(words: list[str]) -> dict[str, str]:
    told = {}
    for word in words:
        name, given, value = word.partition("=")
        if not given:
            raise CommandError(f"--define {word!r}: write NAME=VALUE", code=Exit.USAGE)
        told[name] = value
    return told


def _store(context: typer.Context) -> BuildStore:
    shared: Context = context.obj
    return BuildStore(builds_folder(shared.state(shared.load())))
