"""`triaged ask`: one question to the meta tier with the host's tools."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import DaemonClient
from daemon.cli.context import Context, err, out, print_json
from daemon.cli.exits import CommandError
from daemon.cli.render import clean


def register(app: typer.Typer) -> None:
    app.command("ask", epilog='triaged ask "how full is the disk?"')(ask)


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="The answer alone, without tool activity.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask about this host."""
    shared: Context = context.obj
    client = DaemonClient(url=shared.daemon_url())
    body = {"model": "triaged", "messages": [{"role": "user", "content": question}]}
    if as_json:
        answer = client.post("/v1/chat/completions", body, timeout=600)
        message = answer["choices"][0]["message"]
        print_json(
            {
                "answer": message["content"],
                "activity": message.get("reasoning_content", ""),
                "usage": answer["usage"],
            }
        )
        return
    for chunk in client.stream("/v1/chat/completions", {**body, "stream": True}):
        if "error" in chunk:
            raise CommandError(str(chunk["error"]["message"]))
        for choice in chunk["choices"]:
            delta = choice["delta"]
            if delta.get("reasoning_content") and not quiet:
                err.print(clean(delta["reasoning_content"]), style="dim", markup=False, end="")
            if delta.get("content"):
                out.print(clean(delta["content"]), markup=False, end="")
    out.print()
