"""`triaged hardware`: what this machine has for models to run on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from daemon.cli.context import Context, err, out, print_json
from daemon.cli.render import line
from tiers.hardware.facts import Gpu, Machine
from tiers.hardware.survey import survey
from tiers.runtime.own_builds import builds_folder

_GIB = 2**30


def register(app: typer.Typer) -> None:
    app.command("hardware", epilog="triaged hardware --json | jq .memory")(hardware)


def hardware(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; sizes in bytes.")] = False,
) -> None:
    """Processors, memory, GPUs and disks, as models see them."""
    shared: Context = context.obj
    state = shared.state(shared.load())
    machine = survey(folders=[state], builds=builds_folder(state))
    if as_json:
        document = dataclasses.asdict(machine)
        document["processor"]["worth"] = machine.processor.worth
        document["memory"] |= {
            "capacity": machine.memory.capacity,
            "usable": machine.memory.usable,
        }
        print_json(document)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, what in rows(machine):
        table.add_row(name, Text(line(what)))
    out.print(table)
    for note in machine.notes:
        err.print(f"note: {line(note)}", markup=False)


def rows(machine: Machine) -> Iterable[tuple[str, str]]:
    """The lines of the table: what, and what it is like."""
    processor, memory = machine.processor, machine.memory
    sockets = f" in {processor.sockets} sockets" if processor.sockets > 1 else ""
    fast = f", {processor.big_cores} of them fast" if processor.big_cores else ""
    nodes = f"{processor.numa_nodes} NUMA node{'s' if processor.numa_nodes > 1 else ''}"
    cores = f"{processor.cores} cores{fast}{sockets}, {processor.threads} threads, {nodes}"
    yield "processor", f"{processor.name} ({processor.architecture}): {cores}"
    yield "", "instruction sets: " + (", ".join(processor.features) or "none that matter")
    yield "", f"threads that pay for a model: {processor.worth}"
    yield (
        "memory",
        f"{_gib(memory.usable)} usable of {_gib(memory.capacity)}"
        + (f" (the machine has {_gib(memory.total)})" if memory.capacity < memory.total else ""),
    )
    yield (
        "swap",
        f"{_gib(memory.swap_free)} free of {_gib(memory.swap_total)}"
        if memory.swap_total
        else "none",
    )
    for gpu in machine.gpus:
        yield f"{gpu.vendor.value} {gpu.index}", _gpu_words(gpu)
    if not machine.gpus:
        yield "GPU", "none"
    for device in machine.listed:
        free = f", {_gib(device.free)} free" if device.free is not None else ""
        yield "llama-server", f"computes on {device.name}: {device.description}{free}"
    if not machine.listed:
        yield "llama-server", "computes on the processor"
    for disk in machine.disks:
        kind = {True: ", rotating", False: ", solid state", None: ""}[disk.rotating]
        low = "; less than a tenth is free" if disk.low else ""
        space = f"{_gib(disk.free)} free of {_gib(disk.total)}"
        yield "disk", f"{disk.mount}: {space} ({disk.kind or 'unknown'}{kind}){low}"
    if machine.container:
        yield "container", machine.container


def _gpu_words(gpu: Gpu) -> str:
    parts = [gpu.name]
    if gpu.total is not None:
        free = f"{_gib(gpu.free)} free of " if gpu.free is not None else ""
        parts.append(f"{free}{_gib(gpu.total)}{' shared with the machine' if gpu.shared else ''}")
    elif gpu.shared:
        parts.append("shares the machine's memory")
    if gpu.architecture:
        parts.append(gpu.architecture)
    if gpu.driver:
        parts.append(f"driver {gpu.driver}")
    return ", ".join(parts)


def _gib(size: int | None) -> str:
    return "?" if size is None else f"{size / _GIB:.1f} GiB"
