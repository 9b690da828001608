"""`triaged status`: every part of the running daemon."""

from __future__ import annotations

from collections.abc import Mapping
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
    count = found["accounting"]
    out.print(
        f"events: {count['received']} received = {count['stored']} stored + {count['folded']} "
        f"folded + {count['dropped']} dropped; {found['patterns']} patterns, "
        f"{found['to_judge']} to judge"
    )
    states = ", ".join(f"{n} {state}" for state, n in found["incidents_by_state"].items())
    calls = ", ".join(f"{tier} {n}" for tier, n in found["model_calls"].items())
    out.print(f"incidents: {states or 'none'}; model calls: {calls or 'none'}")
