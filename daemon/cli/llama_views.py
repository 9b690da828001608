"""What `triaged llama` shows: tables, and the same as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from daemon.cli.context import out
from daemon.cli.render import ago, line
from tiers.hardware.facts import ListedDevice
from tiers.llama_build.values import Built
from tiers.runtime.binary import MINIMUM_BUILD, Binary, Candidate
from tiers.runtime.flags import OPTIONAL_FLAGS


def build_document(built: Built) -> dict[str, Any]:
    """As `--json` prints it."""
    return dataclasses.asdict(built) | {"program": str(built.program)}


def status_document(
    found: Sequence[Candidate],
    *,
    chosen: Binary | None,
    devices: Sequence[ListedDevice],
    built: Built | None,
    problem: str,
) -> dict[str, Any]:
    """As `--json` prints it. `runs` is the index of the one that would run, None for none."""
    return {
        "minimum_build": MINIMUM_BUILD,
        "runs": next((number for number, each in enumerate(found) if each.binary is chosen), None),
        "problem": problem,
        "candidates": [_candidate(each) for each in found],
        "devices": [dataclasses.asdict(device) for device in devices],
        "own_build": build_document(built) if built is not None else None,
    }


def show_status(
    found: Sequence[Candidate],
    *,
    chosen: Binary | None,
    devices: Sequence[ListedDevice],
    built: Built | None,
) -> None:
    """Every llama-server in the order in which they are looked for."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("build", justify="right", no_wrap=True)
    table.add_column("program", overflow="fold")
    for each in found:
        runs = each.binary is chosen
        mark = Text("runs", style="green") if runs else Text("unfit" if each.problem else "")
        known = each.binary.capabilities
        number = str(known.build) if known is not None and known.build is not None else "?"
        program = str(each.binary.path) if each.binary.path is not None else _version(each)
        table.add_row(mark, each.binary.origin, number, line(program))
    out.print(table)
    for each in found:
        if each.problem:
            out.print(f"unfit: {line(each.problem)}", markup=False, style="yellow")
    if chosen is not None and chosen.capabilities is not None:
        out.print(f"version: {line(chosen.capabilities.version)}", markup=False)
        if chosen.capabilities.compiler:
            out.print(f"built with: {line(chosen.capabilities.compiler)}", markup=False)
        if left_out := left_out_flags(chosen):
            out.print(f"not known to it, left out: {', '.join(left_out)}", markup=False)
    if chosen is not None:
        names = [f"{device.name} ({device.description})" for device in devices]
        out.print(f"computes on: {line(', '.join(names) or 'the processor')}", markup=False)
    if built is not None and chosen is not None and chosen.path == built.program:
        out.print(f"made {ago(built.finished)} {_made_of(built)}", markup=False)
        for words in built.fallen_back:
            out.print(f"left out then: {line(words)}", markup=False, style="dim")


def show_built(built: Built) -> None:
    """One build that is in use now."""
    state = f"built in {built.seconds:.0f} s" if built.fresh else "was there already"
    out.print(f"{built.program}", markup=False)
    out.print(f"{state}, {_made_of(built)}", markup=False)
    out.print(f"version: {line(built.proof.version)}", markup=False)
    devices = ", ".join(built.proof.devices) or "the processor"
    out.print(f"computes on: {line(devices)}", markup=False)
    out.print(
        f"tried: the bundled models were ready after {built.proof.ready_seconds:.1f} s, a decision "
        f"takes {built.proof.decision_seconds * 1000:.0f} ms",
        markup=False,
    )
    if built.sha256 is not None:
        out.print(f"SHA-256 of the archive: {built.sha256}", markup=False)


def left_out_flags(binary: Binary) -> list[str]:
    """Options that would be passed if the program knew them."""
    if binary.capabilities is None or not binary.capabilities.flags:
        return []
    return sorted(OPTIONAL_FLAGS - binary.capabilities.flags)


def _made_of(built: Built) -> str:
    return line(f"from {built.source} for {built.backend} with {built.compiler}")


def _version(each: Candidate) -> str:
    return each.binary.capabilities.version if each.binary.capabilities is not None else ""


def _candidate(each: Candidate) -> dict[str, Any]:
    known = each.binary.capabilities
    return {
        "origin": each.binary.origin,
        "path": str(each.binary.path) if each.binary.path is not None else None,
        "build": known.build if known is not None else None,
        "version": known.version if known is not None else "",
        "compiler": known.compiler if known is not None else "",
        "left_out": left_out_flags(each.binary),
        "problem": each.problem,
    }
