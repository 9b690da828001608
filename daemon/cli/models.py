"""`triaged models`: which there are, which fit here, and getting them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from daemon.cli.context import Context, err, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import line
from tiers.hardware.facts import Machine
from tiers.hardware.survey import survey
from tiers.models.catalogue import Catalogue, Model, load_catalogue, named
from tiers.models.errors import CatalogueError, ModelError
from tiers.models.folder import Installed, installed_in, low_disk, remove, verified
from tiers.models.hub import Hub, RemoteFile
from tiers.models.pull import pull
from tiers.planning.choose import make_plan
from tiers.planning.fit import Fit, Mark, fit_of
from tiers.planning.plan import Plan
from tiers.planning.toml import missing, plan_as_toml
from tiers.runtime.own_builds import builds_folder

app = typer.Typer(help="Model files: which there are, which fit, and getting them.")

_STYLES = {Mark.FITS: "green", Mark.TIGHT: "yellow", Mark.NO: "red", Mark.UNKNOWN: "dim"}


def _known_ids() -> list[str]:
    return [model.id for model in load_catalogue().models]


_Names = Annotated[
    list[str],
    typer.Argument(
        help="Ids of the catalogue, or OWNER/NAME:FILE-OR-QUANTISATION.",
        autocompletion=_known_ids,
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """What every command here needs."""

    catalogue: Catalogue
    folder: Path
    builds: Path


def _places(context: typer.Context) -> _Places:
    shared: Context = context.obj
    loaded = shared.load()
    settings = loaded.settings.models
    try:
        catalogue = load_catalogue(settings.catalogue)
    except CatalogueError as error:
        raise CommandError(str(error), code=Exit.CONFIG) from error
    state = shared.state(loaded)
    folder = settings.folder or state / "models"
    return _Places(
        catalogue=catalogue,
        folder=folder.expanduser().absolute(),
        builds=builds_folder(state),
    )


@app.command("list", epilog="triaged models list --json")
def list_models(context: typer.Context, as_json: _Json = False) -> None:
    """The catalogue, how each sits in this machine, and what is here already."""
    places = _places(context)
    machine = survey(folders=[places.folder], builds=places.builds)
    here = list(installed_in(places.folder))
    if as_json:
        print_json(
            {
                "folder": str(places.folder),
                "models": [_row(model, machine, here) for model in places.catalogue.models],
                "files": [_file(found) for found in here],
            }
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    for column in ("size", "needs"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("this machine", "here", "for", "tiers"):
        table.add_column(column, overflow="fold")
    for model in places.catalogue.models:
        fit = fit_of(model, machine)
        table.add_row(
            model.id,
            _size(model.size),
            _size(fit.need),
            Text(fit.mark, style=_STYLES[fit.mark]),
            "yes" if _is_here(model, here) else "",
            ", ".join(model.good_for),
            ", ".join(model.tiers),
        )
    out.print(table)
    for model in places.catalogue.models:
        fit = fit_of(model, machine)
        if fit.mark in (Mark.TIGHT, Mark.NO):
            err.print(f"{model.id} {fit.mark}: {fit.why}", style="dim", markup=False)
    _warn_of_disk(places.folder)


@app.command("recommend", epilog="triaged models recommend --pull --save /etc/triaged/tiers.toml")
def recommend(
    context: typer.Context,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write it as configuration; never over a file.")
    ] = None,
    fetch: Annotated[bool, typer.Option("--pull", help="Get the files that are not here.")] = False,
    as_json: _Json = False,
) -> None:
    """What each tier should run on this machine, all three at once, and why."""
    places = _places(context)
    machine = survey(folders=[places.folder], builds=places.builds)
    plan = _planned(places, machine)
    if fetch and (absent := missing(plan)):
        _pull([places.catalogue.find(name) for name in absent], places)
        plan = _planned(places, machine)
    if as_json:
        print_json(dataclasses.asdict(plan) | {"memory": plan.memory, "gpu": plan.gpu})
    else:
        _show_plan(plan)
    absent = missing(plan)
    if save is not None:
        if absent:
            raise CommandError(f"pull {', '.join(absent)} first, or say --pull")
        try:
            with save.expanduser().open("x", encoding="utf-8") as file:
                file.write(plan_as_toml(plan))
        except OSError as error:
            raise CommandError(f"{save} cannot be written: {error.strerror}") from error
        err.print(f"written to {save}; 'triaged check-config' reads it", markup=False)
    elif absent and not as_json:
        err.print(f"To get them: triaged models pull {' '.join(absent)}", markup=False)


@app.command(
    "pull",
    epilog="triaged models pull qwen3-4b\n\ntriaged models pull unsloth/Qwen3-8B-GGUF:Q4_K_M",
)
def pull_models(context: typer.Context, names: _Names, as_json: _Json = False) -> None:
    """Gets models, one after the other. Goes on where it stopped; every file is checked.

    A mirror is named in $HF_ENDPOINT, a token for gated ones in $HF_TOKEN.
    """
    places = _places(context)
    # All names are looked at before the first byte moves.
    got = _pull([_named(name, places.catalogue) for name in names], places)
    if as_json:
        print_json({model.id: [_file(found) for found in files] for model, files in got})
    else:
        for model, files in got:
            out.print(f"{model.id}: {files[0].path}", markup=False)
            licence = files[0].origin.licence if files[0].origin is not None else None
            said = licence or f"see {model.repository}"
            err.print(f"licence: {line(said)}", style="dim", markup=False)
        err.print(
            "To use one, name its path: tiers.meta.model = PATH (or TRIAGED__TIERS__META__MODEL).",
            style="dim",
            markup=False,
        )
    _warn_of_disk(places.folder)


@app.command("verify", epilog="triaged models verify")
def verify_models(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Which; all without.")] = None,
    as_json: _Json = False,
) -> None:
    """Reads model files again, as they were pulled or not; exit code 6 if one differs."""
    places = _places(context)
    chosen = _chosen(names or [], places)
    problems: dict[str, str] = {}
    with _bars() as bars:
        for found in chosen:
            task = bars.add_task(found.path.name, total=found.size)

            def moved(count: int, task: TaskID = task) -> None:
                bars.advance(task, count)

            problems[str(found.path)] = verified(found, on_bytes=moved)
    if as_json:
        print_json({path: {"ok": not why, "problem": why} for path, why in problems.items()})
    else:
        for path, why in problems.items():
            out.print(f"{path}: {why or 'as it was pulled'}", markup=False)
        if not problems:
            out.print(f"There are no model files in {places.folder}.", markup=False)
    if any(problems.values()):
        raise typer.Exit(int(Exit.FINDINGS))


@app.command("remove", epilog="triaged models remove qwen3-4b")
def remove_models(context: typer.Context, names: _Names, as_json: _Json = False) -> None:
    """Deletes model files that were pulled."""
    places = _places(context)
    chosen = _chosen(names, places)
    for found in chosen:
        try:
            remove(found, folder=places.folder)
        except ModelError as error:
            raise CommandError(str(error)) from error
    if as_json:
        print_json([_file(found) for found in chosen])
        return
    for found in chosen:
        out.print(f"removed {found.path} ({_size(found.size)})", markup=False)


def _pull(wanted: Sequence[Model], places: _Places) -> list[tuple[Model, Sequence[Installed]]]:
    """Gets models with bars on stderr. Raises `CommandError`."""
    # Its warnings about connections that it takes up again would tear the bars.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    hub = Hub()
    got: list[tuple[Model, Sequence[Installed]]] = []
    with _bars() as bars:
        for model in wanted:
            shown = _Shown(bars)
            try:
                got.append((model, pull(model, hub=hub, folder=places.folder, progress=shown)))
            except ModelError as error:
                raise CommandError(str(error)) from error
            finally:
                shown.ends()
    return got


def _planned(places: _Places, machine: Machine) -> Plan:
    here = list(installed_in(places.folder))
    files = {
        model.id: found.path
        for model in places.catalogue.models
        for found in here
        if _belongs(found, model)
    }
    return make_plan(machine, places.catalogue.models, here=files)


def _show_plan(plan: Plan) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tier", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("on", overflow="fold")
    for column in ("threads", "context", "calls", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    for tier, chosen in plan.tiers.items():
        table.add_row(
            str(tier),
            chosen.model,
            str(chosen.place),
            str(chosen.threads),
            str(chosen.load.context),
            str(chosen.load.parallel),
            _size(chosen.need.total),
        )
    out.print(table)
    gpu = f", {_size(plan.gpu)} of {_size(plan.gpu_budget)} on GPUs" if plan.gpu else ""
    out.print(f"together {_size(plan.memory)} of {_size(plan.memory_budget)} memory{gpu}")
    for tier, chosen in plan.tiers.items():
        for reason in chosen.why:
            out.print(f"{tier}: {reason}", style="dim", markup=False)
    for note in plan.notes:
        err.print(f"note: {line(note)}", markup=False)


def _named(name: str, catalogue: Catalogue) -> Model:
    try:
        return named(name, catalogue)
    except CatalogueError as error:
        raise CommandError(str(error), code=Exit.NOT_FOUND) from error


def _chosen(names: Sequence[str], places: _Places) -> list[Installed]:
    """Files that are here, by model or by path; all without names."""
    here = list(installed_in(places.folder))
    if not names:
        return here
    chosen: list[Installed] = []
    for name in names:
        path = Path(name).expanduser().absolute()
        fitting = [found for found in here if found.path == path]
        if not fitting:
            model = _named(name, places.catalogue)
            fitting = [found for found in here if _belongs(found, model)]
        if not fitting:
            raise CommandError(f"{name} is not in {places.folder}", code=Exit.NOT_FOUND)
        chosen += [found for found in fitting if found not in chosen]
    return chosen


def _belongs(found: Installed, model: Model) -> bool:
    """Whether a file is the entry's: by its content where that is known, else by its name."""
    if found.origin is None or found.origin.repository != model.repository:
        return False
    if model.sha256 is not None:
        return found.origin.sha256 == model.sha256
    return model.file.lower() in found.path.name.lower()


def _is_here(model: Model, here: Sequence[Installed]) -> bool:
    return any(_belongs(found, model) for found in here)


def _row(model: Model, machine: Machine, here: Sequence[Installed]) -> Mapping[str, Any]:
    fit: Fit = fit_of(model, machine)
    files = [str(found.path) for found in here if _belongs(found, model)]
    return dataclasses.asdict(model) | {
        "fit": str(fit.mark),
        "need": fit.need,
        "why": fit.why,
        "files": files,
    }


def _file(found: Installed) -> Mapping[str, Any]:
    origin = dataclasses.asdict(found.origin) if found.origin is not None else None
    return {"path": str(found.path), "size": found.size, "origin": origin}


def _size(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e9:.1f} GB"


def _warn_of_disk(folder: Path) -> None:
    if sentence := low_disk(folder):
        err.print(f"warning: {sentence}", style="yellow", markup=False)


def _bars() -> Progress:
    """On stderr: stdout stays clean for scripts. Nothing moves where that is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err,
    )


class _Shown:
    """Satisfies `tiers.models.pull.Progress`."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begins(self, file: RemoteFile, *, done: int) -> None:
        self.ends()
        name = file.name.split("/")[-1]
        self._task = self._bars.add_task(name, total=file.size, completed=done)
        if not err.is_terminal:
            at = f", going on at {done / 1e9:.2f} GB" if done else ""
            err.print(f"{name}: {_size(file.size)}{at}", markup=False)

    def moved(self, count: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, count)

    def checks(self, file: RemoteFile) -> None:
        if self._task is not None:
            name = file.name.split("/")[-1]
            self._bars.update(self._task, description=f"{name} (checking)")

    def ends(self) -> None:
        if self._task is not None:
            self._bars.stop_task(self._task)
            self._task = None
