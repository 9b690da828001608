"""`triaged proposals`: actions that wait for a human: list, show, approve, deny."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from daemon.cli.client import DaemonClient
from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import line

app = typer.Typer(help="Actions that wait for your answer.", invoke_without_command=True)

_PATH = "/api/v1/proposals"
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Code = Annotated[str, typer.Argument(help="The proposal's code, as it is shown (K7F3).")]


@app.callback()
def default(context: typer.Context, as_json: _Json = False) -> None:
    """Actions that wait for your answer. Alone: the list."""
    if context.invoked_subcommand is None:
        _list(context.obj, as_json=as_json)
    elif as_json:
        message = f"write --json behind {context.invoked_subcommand}"
        raise CommandError(message, code=Exit.USAGE)


@app.command("list", epilog="triaged proposals list --json")
def list_proposals(context: typer.Context, as_json: _Json = False) -> None:
    """List what waits, oldest first."""
    _list(context.obj, as_json=as_json)


@app.command("show", epilog="triaged proposals show K7F3")
def show(context: typer.Context, code: _Code, as_json: _Json = False) -> None:
    """What exactly one of them would do."""
    found = _client(context.obj).get(f"{_PATH}/{quote(code, safe='')}")
    if as_json:
        print_json(found)
    else:
        _print(found)


@app.command("approve", epilog="triaged proposals approve K7F3")
def approve(context: typer.Context, code: _Code, as_json: _Json = False) -> None:
    """Approve exactly what it says."""
    _answer(context.obj, code, "approve", as_json=as_json)


@app.command("deny", epilog="triaged proposals deny K7F3")
def deny(context: typer.Context, code: _Code, as_json: _Json = False) -> None:
    """Deny it."""
    _answer(context.obj, code, "deny", as_json=as_json)


def _answer(shared: Context, code: str, verb: str, *, as_json: bool) -> None:
    said = _client(shared).post(f"{_PATH}/{quote(code, safe='')}/{verb}")
    if as_json:
        print_json(said)
    else:
        out.print(line(said["message"]), markup=False)


def _list(shared: Context, *, as_json: bool) -> None:
    waiting = _client(shared).get(_PATH)["proposals"]
    if as_json:
        print_json(waiting)
        return
    if not waiting:
        out.print("No proposals wait for an answer.")
    for number, proposal in enumerate(waiting):
        if number:
            out.print()
        _print(proposal)


def _print(proposal: Mapping[str, Any]) -> None:
    out.print(f"{line(proposal['code'])}  {line(proposal['content'])}", markup=False)
    for label, name in (("risk", "risk"), ("reason", "reason"), ("expires", "expires_at")):
        out.print(f"      {label}: {line(proposal[name])}", markup=False)


def _client(shared: Context) -> DaemonClient:
    return shared.client()
