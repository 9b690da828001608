"""`triaged status`: every part of the running daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import Exit
from daemon.cli.render import ago, clean

_STYLES = {"ok": "green", "starting": "cyan", "degraded": "yellow", "down": "bold red"}


def register(app: typer.Typer) -> None:
    app.command("status", epilog="triaged status --json")(status)


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Every part of the running daemon; exit code 6 while it is not ready."""
    shared: Context = context.obj
    found = shared.client().get("/api/v1/status")
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not found["ready"]:
        raise typer.Exit(int(Exit.FINDINGS))


def _show(found: Mapping[str, Any]) -> None:
    ready = "ready" if found["ready"] else "NOT READY"
    head = f"triaged {found['version']} on {found['host']}: {ready}"
    out.print(f"{head}, started {ago(found['started_at'])}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "health", "detail"):
        table.add_column(column, overflow="fold")
    for part in found["parts"]:
        health = Text(part["health"], style=_STYLES.get(part["health"], "dim"))
        table.add_row(part["name"], health, Text(clean(part["detail"])))
    out.print(table)
    out.print(_tiers(found["tiers"]))
    count = found["accounting"]
    out.print(
        f"events: {count['received']} received = {count['stored']} stored + {count['folded']} "
        f"folded + {count['dropped']} dropped; {found['patterns']} patterns, "
        f"{found['to_judge']} to judge"
    )
    states = ", ".join(f"{n} {state}" for state, n in found["incidents_by_state"].items())
    calls = ", ".join(f"{tier} {n}" for tier, n in found["model_calls"].items())
    out.print(f"incidents: {states or 'none'}; model calls: {calls or 'none'}")


def _tiers(tiers: Sequence[Mapping[str, Any]]) -> Table:
    """What each tier's server uses and does, where it is one of this host."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tier")
    for column in ("process", "memory", "restarts", "running", "waiting", "read", "written"):
        table.add_column(column, justify="right")
    table.add_column("model", overflow="fold")
    for tier in tiers:
        work = tier["work"] or {}
        memory = tier["rss_bytes"]
        table.add_row(
            tier["tier"],
            str(tier["pid"] or "-"),
            "-" if memory is None else f"{memory / 2**20:,.0f} MiB",
            str(tier["restarts"]),
            *(_count(work.get(name)) for name in ("running", "waiting")),
            *(_count(work.get(name), unit=" tok") for name in ("prompt_tokens", "output_tokens")),
            Text(clean(tier["model"])),
        )
    return table


def _count(value: float | None, *, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.0f}{unit}"
