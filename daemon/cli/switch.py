"""`triaged policy stop` and `resume`: the switch that keeps everything from being begun."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.context import Context, out, print_json
from daemon.cli.render import line

_PATH = "/api/v1/actions"
_Reason = Annotated[list[str] | None, typer.Argument(help="Why; kept in the ledger.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Beside the other commands of `triaged policy`."""
    app.command("stop", epilog="triaged policy stop moving the racks until six")(stop)
    app.command("resume", epilog="triaged policy resume the move is over")(resume)


def stop(context: typer.Context, reason: _Reason = None, as_json: _Json = False) -> None:
    """Begin no action any more, on any host of this database, until somebody resumes.

    A restart does not change that. What has begun is checked to its end.
    """
    shared: Context = context.obj
    said = shared.client().post(f"{_PATH}/stop", {"reason": " ".join(reason or ())})
    if as_json:
        print_json(said)
        return
    stopped = said["stopped"]
    why = f": {line(stopped['reason'])}" if stopped["reason"] else ""
    out.print(f"Acting is stopped by {line(stopped['by'])} since {line(stopped['at'])}{why}",
              markup=False)  # fmt: skip


def resume(context: typer.Context, reason: _Reason = None, as_json: _Json = False) -> None:
    """Act again, as the level of autonomy says."""
    shared: Context = context.obj
    said = shared.client().post(f"{_PATH}/resume", {"reason": " ".join(reason or ())})
    if as_json:
        print_json(said)
    else:
        out.print("Acting goes on as the policy allows.")
