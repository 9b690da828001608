"""`triaged review`: the holistic review, now."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.context import Context, err, out, print_json
from daemon.cli.render import clean


def register(app: typer.Typer) -> None:
    app.command("review", epilog="triaged review --json")(review)


def review(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look over everything since the last review, now."""
    shared: Context = context.obj
    client = shared.client()
    with err.status("The review tier looks over everything since the last review"):
        found = client.post("/api/v1/review", {}, timeout=1800)
    if as_json:
        print_json(found)
        return
    out.print(clean(found.get("summary") or "Nothing to say."), markup=False)
    numbers = found.get("incidents") or []
    if numbers:
        out.print(f"Incidents: {', '.join(f'#{number}' for number in numbers)}")
