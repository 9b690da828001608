"""`triaged memory`: search it, make it again."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.context import Context, err, out, print_json
from daemon.cli.render import clean

app = typer.Typer(help="What past incidents taught.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("search", epilog='triaged memory search "postgres out of memory"')
def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=50)] = 5,
    as_json: _Json = False,
) -> None:
    """Past incidents that look like a text."""
    shared: Context = context.obj
    found = shared.client().get("/api/v1/memory", q=text, limit=limit)
    if as_json:
        print_json(found["found"])
        return
    if not found["found"]:
        out.print("Nothing like it is remembered.")
    for entry in found["found"]:
        line = (
            f"#{entry['incident_id']} ({entry['similarity']:.2f}) {entry['title']}: "
            f"{entry['cause']}; {entry['outcome']}"
        )
        out.print(clean(line), markup=False)


@app.command("rebuild", epilog="triaged memory rebuild")
def rebuild(context: typer.Context, as_json: _Json = False) -> None:
    """Make the memory again from PostgreSQL."""
    shared: Context = context.obj
    client = shared.client()
    with err.status("Making the memory again"):
        made = client.post("/api/v1/memory/rebuild", timeout=1800)
    if as_json:
        print_json(made)
    else:
        out.print(f"{made['entries']} incidents are remembered")
