"""`triaged incidents`: list, show, close, mute."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import DaemonClient
from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import incident_detail, incident_table
from daemon.escalation.states import State

app = typer.Typer(
    help="Incidents: what was escalated, and what came of it.", invoke_without_command=True
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Id = Annotated[int, typer.Argument(help="The incident's number.", min=1)]


@app.callback()
def default(context: typer.Context, as_json: _Json = False) -> None:
    """Incidents: what was escalated, and what came of it. Alone: the live ones."""
    if context.invoked_subcommand is None:
        _list(context.obj, states=None, every=False, text=None, limit=50, as_json=as_json)
    elif as_json:
        message = f"write --json behind {context.invoked_subcommand}"
        raise CommandError(message, code=Exit.USAGE)


@app.command("list", epilog="triaged incidents list --all --text ssh")
def list_incidents(
    context: typer.Context,
    state: Annotated[
        list[State] | None, typer.Option("--state", help="Only these states (repeat).")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Closed ones too.")] = False,
    text: Annotated[str | None, typer.Option("--text", help="Words in title or evidence.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50,
    as_json: _Json = False,
) -> None:
    """List incidents, newest first."""
    _list(context.obj, states=state, every=every, text=text, limit=limit, as_json=as_json)


@app.command("show", epilog="triaged incidents show 12")
def show(context: typer.Context, incident: _Id, as_json: _Json = False) -> None:
    """Everything about one incident."""
    detail = _client(context.obj).get(f"/api/v1/incidents/{incident}")
    if as_json:
        print_json(detail)
    else:
        out.print(incident_detail(detail))


@app.command("close", epilog='triaged incidents close 12 --reason "disk was replaced"')
def close(
    context: typer.Context,
    incident: _Id,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the ledger.")],
    as_json: _Json = False,
) -> None:
    """Close an incident by hand."""
    closed = _client(context.obj).post(f"/api/v1/incidents/{incident}/close", {"reason": reason})
    if as_json:
        print_json(closed)
    else:
        out.print(f"incident {incident} is closed")


@app.command("mute", epilog='triaged incidents mute 12 --reason "lab machine" --hours 24')
def mute(
    context: typer.Context,
    incident: _Id,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why this is intentional.")],
    hours: Annotated[
        float | None, typer.Option("--hours", help="For how long; without it until lifted.")
    ] = None,
    max_per_hour: Annotated[
        int | None, typer.Option("--max-per-hour", help="Rises again above this rate.", min=1)
    ] = None,
    as_json: _Json = False,
) -> None:
    """Say that this is intentional: mute its patterns and close it."""
    body = {"reason": reason, "hours": hours, "max_per_hour": max_per_hour}
    muted = _client(context.obj).post(f"/api/v1/incidents/{incident}/mute", body)
    if as_json:
        print_json(muted)
    else:
        out.print(f"the patterns of incident {incident} are muted, and it is closed")


def _list(
    shared: Context,
    *,
    states: list[State] | None,
    every: bool,
    text: str | None,
    limit: int,
    as_json: bool,
) -> None:
    live = [state for state in State if state is not State.CLOSED]
    wanted = states or (None if every or text else live)
    answer = _client(shared).get("/api/v1/incidents", state=wanted, text=text, limit=limit)
    if as_json:
        print_json(answer["incidents"])
    else:
        out.print(incident_table(answer["incidents"]))


def _client(shared: Context) -> DaemonClient:
    return shared.client()
