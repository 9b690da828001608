"""`triaged chat`: a chat in the terminal, or one answer per line of stdin for scripts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import typer
from rich.text import Text

from daemon.cli.answers import AnswerPrinter, as_json, whole
from daemon.cli.context import Context, err, out
from daemon.cli.exits import CommandError, Exit
from daemon.cli.line_editor import LineEditor, history_file
from daemon.cli.render import clean
from daemon.cli.slash import LeaveChat, Slash
from daemon.cli.talk import DEFAULT_MODEL, Talk

_LONGEST_LINE = 4 * 1024 * 1024


def register(app: typer.Typer) -> None:
    app.command("chat", epilog="triaged chat --model tier/meta")(chat)


def chat(
    context: typer.Context,
    model: Annotated[
        str, typer.Option("--model", "-m", help="'triaged', or a bare model: tier/meta.")
    ] = DEFAULT_MODEL,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="The answers alone, without tool activity.")
    ] = False,
    json_wanted: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line for each answer.")
    ] = False,
) -> None:
    """Chat about this host.

    Where stdin or stdout is no terminal, each line of stdin is a question of one chat.
    """
    shared: Context = context.obj
    talk = Talk(client=shared.client(), model=model)
    printer = AnswerPrinter(out=out, err=err, show_activity=not quiet)
    if json_wanted or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise typer.Exit(_answer_lines(talk, printer, json_wanted=json_wanted))
    _talk_with_person(talk, printer)


def _talk_with_person(talk: Talk, printer: AnswerPrinter) -> None:
    if talk.model not in (models := talk.models()):
        raise CommandError(
            f"there is no model {talk.model!r}; there are {', '.join(models)}", code=Exit.NOT_FOUND
        )
    slash = Slash(talk=talk, printer=printer, out=out)
    editor = LineEditor(history=history_file(os.environ), complete=slash.complete)
    out.print(Text(f"{talk.model} answers. /help lists commands, Ctrl-D leaves.", style="dim"))
    while True:
        try:
            typed = editor.ask("> ")
            if typed.strip() and not slash.run(typed):
                _answer(talk, printer, typed)
        except (EOFError, LeaveChat):
            out.print()
            return
        except KeyboardInterrupt:  # at the prompt: the line is dropped
            out.print()
        except UnicodeDecodeError:
            err.print(Text("triaged: that was no text in this terminal's encoding", style="red"))
        except CommandError as error:
            err.print(Text(f"triaged: {clean(error)}", style="red"))


def _answer(talk: Talk, printer: AnswerPrinter, question: str) -> None:
    try:
        printer.show(talk.ask(question))
    except KeyboardInterrupt:
        err.print(Text("stopped", style="dim"))
    out.print()


def _answer_lines(talk: Talk, printer: AnswerPrinter, *, json_wanted: bool) -> Exit:
    """Answers line by line. A question that fails does not keep the next from being asked, unless
    the daemon or the model is not there."""
    code = Exit.OK
    for question in _lines(typer.get_binary_stream("stdin")):
        try:
            if json_wanted:
                answer = whole(talk.ask(question))
                _print_line({"question": question, "chat_id": talk.chat_id, **as_json(answer)})
            else:
                printer.show(talk.ask(question))
        except CommandError as error:
            if error.code in (Exit.UNREACHABLE, Exit.NOT_FOUND):
                raise
            code = Exit.FAILED
            if json_wanted:
                _print_line({"question": question, "chat_id": talk.chat_id, "error": clean(error)})
            else:
                err.print(Text(f"triaged: {clean(error)}", style="red"))
    return code


def _lines(stream: BinaryIO) -> Iterator[str]:
    while raw := stream.readline(_LONGEST_LINE):
        if line := raw.decode("utf-8", "replace").strip():
            yield line


def _print_line(value: object) -> None:
    """One object a line, at once, so that a script can answer to it."""
    out.file.write(json.dumps(value) + "\n")
    out.file.flush()
