"""`triaged actions`: what was done to the host, what was not, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.actions.states import ActionState
from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.proposal_views import action_detail, action_table

app = typer.Typer(
    help="Actions on this host: what was asked for, and what became of it.",
    invoke_without_command=True,
)

_PATH = "/api/v1/actions"
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def recent_ids(context: typer.Context) -> list[str]:
    """For the shell to complete; none where the daemon does not tell."""
    asked = context.find_root().params
    shared = Context(
        config=asked.get("config"), state_dir=asked.get("state_dir"), url=asked.get("url")
    )
    try:
        return [str(each["id"]) for each in shared.client().get(_PATH, limit=20)["actions"]]
    except CommandError:
        return []


@app.callback()
def default(context: typer.Context, as_json: _Json = False) -> None:
    """Actions on this host. Alone: the newest."""
    if context.invoked_subcommand is None:
        list_actions(context, as_json=as_json)
    elif as_json:
        message = f"write --json behind {context.invoked_subcommand}"
        raise CommandError(message, code=Exit.USAGE)


@app.command(
    "list",
    epilog="triaged actions list --state failed --state unknown\n\n"
    "triaged actions list --target nginx.service --json",
)
def list_actions(
    context: typer.Context,
    state: Annotated[
        list[ActionState] | None, typer.Option("--state", help="Only these states (repeat).")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Only on this target.")] = None,
    incident: Annotated[
        int | None, typer.Option("--incident", help="Only for this incident.", min=1)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50,
    as_json: _Json = False,
) -> None:
    """List actions, newest first."""
    shared: Context = context.obj
    found = shared.client().get(
        _PATH, state=state or None, kind=kind, target=target, incident_id=incident, limit=limit
    )["actions"]
    if as_json:
        print_json(found)
    else:
        out.print(action_table(found))


@app.command("show", epilog="triaged actions show 12")
def show(
    context: typer.Context,
    action: Annotated[
        int, typer.Argument(help="The action's number.", min=1, autocompletion=recent_ids)
    ],
    as_json: _Json = False,
) -> None:
    """Everything about one action, with its entries in the ledger."""
    shared: Context = context.obj
    found = shared.client().get(f"{_PATH}/{action}")
    if as_json:
        print_json(found)
    else:
        out.print(action_detail(found))
