"""`triaged ask`: one question to a model of the running daemon."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.answers import AnswerPrinter, as_json, whole
from daemon.cli.context import Context, err, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.talk import DEFAULT_MODEL, Talk

_MOST_BYTES = 4 * 1024 * 1024


def register(app: typer.Typer) -> None:
    app.command("ask", epilog='journalctl -u nginx -n 50 | triaged ask "what is wrong here?" -')(
        ask
    )


def ask(
    context: typer.Context,
    question: Annotated[
        list[str], typer.Argument(help="What you want to know; '-' stands for what stdin holds.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="'triaged', or a bare model: tier/meta.")
    ] = DEFAULT_MODEL,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="The answer alone, without tool activity.")
    ] = False,
    json_wanted: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask about this host."""
    shared: Context = context.obj
    text = _question(question)
    talk = Talk(client=shared.client(), model=model)
    if json_wanted:
        print_json(as_json(whole(talk.ask(text))))
        return
    AnswerPrinter(out=out, err=err, show_activity=not quiet).show(talk.ask(text))


def _question(words: list[str]) -> str:
    """The words with spaces between them; what stdin holds stands in paragraphs of its own."""
    if "-" not in words:
        text = " ".join(words)
    elif words.count("-") > 1:
        raise CommandError("'-' (what stdin holds) can stand in a question once", code=Exit.USAGE)
    else:
        at = words.index("-")
        parts = (" ".join(words[:at]), _stdin(), " ".join(words[at + 1 :]))
        text = "\n\n".join(part for part in parts if part.strip())
    if not text.strip():
        raise CommandError("there is nothing to ask: the question is empty", code=Exit.USAGE)
    return text


def _stdin() -> str:
    raw = typer.get_binary_stream("stdin").read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise CommandError(
            f"stdin holds more than {_MOST_BYTES // 1024**2} MiB, which no model reads; "
            "send the part that matters, or read log files with 'triaged scan'"
        )
    return raw.decode("utf-8", "replace")
