"""`triaged bench`: how fast models answer here, and what that costs the machine."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from daemon.cli.context import Context, err, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import line
from daemon.config.load import Loaded
from tiers.bench.facts import Batch, Figures, Target, Workload
from tiers.bench.run import BenchError, run_bench
from tiers.bench.summary import figures_of
from tiers.bench.sweep import served, variants
from tiers.errors import TierRefusedError
from tiers.llm.requests import read_key
from tiers.runtime.binary import find_binary
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.own_builds import builds_folder
from tiers.vocabulary import TierName


def register(app: typer.Typer) -> None:
    app.command(
        "bench",
        epilog="triaged bench --endpoint http://127.0.0.1:8082 "
        "--endpoint http://127.0.0.1:11434=llama3.2\n\n"
        "triaged bench --tier meta --sweep threads=2,4 --sweep ubatch=256,512",
    )(bench)


def bench(
    context: typer.Context,
    tier: Annotated[
        list[TierName] | None, typer.Option("--tier", help="Only these tiers; all without.")
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option("--endpoint", help="URL or URL=MODEL instead of tiers; several take turns."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option("--sweep", help="NAME=A,B,...: start a tier's model with each value."),
    ] = None,
    prompt_tokens: Annotated[int, typer.Option(min=1, max=100_000, help="About.")] = 512,
    answer_tokens: Annotated[int, typer.Option(min=2, max=100_000)] = 64,
    concurrency: Annotated[
        str, typer.Option(help="Calls at the same time, one after the other: 1,4,8")
    ] = "1,4",
    rounds: Annotated[int, typer.Option(min=1, max=1000)] = 3,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: seconds, bytes, tokens a second.")
    ] = False,
) -> None:
    """Measure prompt and answer speed, time to the first token, processor and memory.

    Without options the running daemon's tiers, which are busy with it meanwhile.
    """
    shared: Context = context.obj
    loaded = shared.load()
    workload = Workload(
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        concurrency=_numbers(concurrency),
        rounds=rounds,
    )
    if sweep and endpoint:
        raise CommandError(
            "--sweep starts servers of its own: leave --endpoint out", code=Exit.USAGE
        )
    try:
        if sweep:
            batches = _swept(shared, loaded, tier or [TierName.META], sweep, workload)
        else:
            targets = [_endpoint(word) for word in endpoint or []]
            batches = _measured(targets or _tiers(shared, loaded, tier or list(TierName)), workload)
    except BenchError as error:
        raise CommandError(str(error)) from error
    figures = figures_of(batches)
    if as_json:
        print_json(
            {
                "workload": dataclasses.asdict(workload),
                "figures": [dataclasses.asdict(each) for each in figures],
            }
        )
    else:
        _show(figures, workload)
    if not any(each.answers for each in figures):
        raise typer.Exit(int(Exit.FAILED))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(1 <= number <= 1024 for number in found):
        raise CommandError(f"--concurrency {text!r}: write numbers like 1,4,8", code=Exit.USAGE)
    return found


def _endpoint(word: str) -> Target:
    url, _, model = word.partition("=")
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"--endpoint {word!r} must begin with http://", code=Exit.USAGE)
    url = url.rstrip("/").removesuffix("/v1")
    # The key of whoever it is: never one of the configuration, which belongs to other endpoints.
    key = os.environ.get("TRIAGED_BENCH_KEY") or None
    return Target(name=f"{url} {model}".strip(), url=url, model=model or None, api_key=key)


def _tiers(shared: Context, loaded: Loaded, wanted: Sequence[TierName]) -> list[Target]:
    """The running daemon's tiers, as its status tells of them."""
    status = shared.client().get("/api/v1/status")
    settings = loaded.settings.tiers.by_name()
    found = []
    for entry in status["tiers"]:
        name = TierName(entry["tier"])
        if name not in wanted:
            continue
        try:
            key = read_key(name=str(name), settings=settings[name])
        except TierRefusedError as error:
            raise CommandError(str(error)) from error
        found.append(Target(name=f"tier/{name}", url=entry["url"], api_key=key, pid=entry["pid"]))
    return found


def _measured(targets: Sequence[Target], workload: Workload) -> list[Batch]:
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err) as progress:
        task = progress.add_task("warming up")

        def told(batch: Batch) -> None:
            progress.update(
                task,
                description=f"{line(batch.target)}: {batch.concurrency} at once "
                f"in {batch.seconds:.1f} s",
            )

        return asyncio.run(run_bench(targets, workload, gpus=True, on_batch=told))


def _swept(
    shared: Context,
    loaded: Loaded,
    tiers: Sequence[TierName],
    words: Sequence[str],
    workload: Workload,
) -> list[Batch]:
    """One server after the other: several large models at once would measure the swap."""
    if len(tiers) != 1:
        raise CommandError("--sweep takes one --tier", code=Exit.USAGE)
    wanted: dict[str, list[str]] = {}
    for word in words:
        name, given, values = word.partition("=")
        if not given or not values:
            raise CommandError(f"--sweep {word!r}: write NAME=A,B", code=Exit.USAGE)
        wanted[name] = values.split(",")
    settings = loaded.settings.tiers.by_name()[tiers[0]]
    if not settings.own_server:
        raise CommandError(f"tiers.{tiers[0]} is an endpoint of somebody else: nothing to sweep")
    try:
        binary = find_binary(os.environ, builds=builds_folder(shared.state(loaded)))
    except MisconfiguredError as error:
        raise CommandError(str(error)) from error
    done: list[Batch] = []

    async def one(changes: dict[str, str]) -> list[Batch]:
        async with served(settings, changes, tier=tiers[0], binary=binary) as target:
            return await run_bench([target], workload, gpus=True)

    for changes in variants(wanted):
        err.print(f"measuring {' '.join(f'{k}={v}' for k, v in changes.items())}", markup=False)
        done += asyncio.run(one(changes))
    return done


def _show(figures: Sequence[Figures], workload: Workload) -> None:
    out.print(
        f"prompts of about {workload.prompt_tokens} tokens, answers of {workload.answer_tokens}; "
        f"medians of {workload.rounds} rounds; n calls at the same time"
    )
    on_gpu = any(each.gpu_memory for each in figures)
    columns = [
        "n",
        "prompt t/s",
        "t/s",
        "all t/s",
        "first s",
        "95 %",
        "gap ms",
        "95 %",
        "CPU %",
        "MB",
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("target", overflow="fold", min_width=12)
    for column in [*columns, "GPU MB"] if on_gpu else columns:
        table.add_column(column, justify="right", no_wrap=True)
    for each in figures:
        cells = [
            line(each.target),
            str(each.concurrency),
            _figure(each.reading, 0),
            _figure(each.writing, 1),
            _figure(each.together, 1),
            _figure(each.first_median, 2),
            _figure(each.first_95, 2),
            _figure(_ms(each.gap_median), 1),
            _figure(_ms(each.gap_95), 1),
            _figure(each.processor, 0),
            _figure(each.memory / 1e6 if each.memory else None, 0),
        ]
        if on_gpu:
            cells.append(_figure(each.gpu_memory / 1e6 if each.gpu_memory else None, 0))
        table.add_row(*cells)
    out.print(table)
    for each in figures:
        if each.failed:
            err.print(
                f"{line(each.target)}, {each.concurrency} at once: {each.failed} failed: "
                f"{line(each.problem)}",
                style="red",
                markup=False,
            )


def _ms(seconds: float | None) -> float | None:
    return seconds * 1000 if seconds is not None else None


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
