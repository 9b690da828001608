"""What a person can type in a chat beside questions: `/help` and its like."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from daemon.cli.answers import AnswerPrinter
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import clean, line
from daemon.cli.talk import Talk
from daemon.tools.catalogue import tool_specs

_USES = {
    "/help": ("", "this list"),
    "/new": ("", "begin a new chat; what was said before is forgotten"),
    "/model": ("[NAME]", "show the models that answer here, or go on with another"),
    "/tools": ("[on|off]", "show what can be looked up; on, off: show or hide that it is done"),
    "/save": ("FILE", "write this chat to a new file"),
    "/quit": ("", "leave; Ctrl-D does too"),
}
_ALIASES = {"/exit": "/quit", "/?": "/help"}


class LeaveChat(Exception):  # noqa: N818 - no error: what /quit means
    """The person wants to leave."""


class Slash:
    """Runs the commands of one chat."""

    def __init__(self, *, talk: Talk, printer: AnswerPrinter, out: Console) -> None:
        self._talk = talk
        self._printer = printer
        self._out = out
        self._commands: Mapping[str, Callable[[str], None]] = {
            "/help": self._help,
            "/new": self._new,
            "/model": self._model,
            "/tools": self._tools,
            "/save": self._save,
            "/quit": self._quit,
        }

    def run(self, typed: str) -> bool:
        """Whether what was typed is a command, which was then run. A path ("/var is full") is a
        question. Raises `CommandError` and `LeaveChat`."""
        name, _, rest = typed.strip().partition(" ")
        name = _ALIASES.get(name, name)
        if (command := self._commands.get(name)) is None:
            if (
                name.startswith("/")
                and not rest
                and "/" not in name[1:]
                and not Path(name).exists()
            ):
                raise CommandError(f"there is no command {name}; /help lists them", code=Exit.USAGE)
            return False
        command(rest.strip())
        return True

    def complete(self, text: str) -> Sequence[str]:
        """What the beginning of a line may become."""
        if not text.startswith("/"):
            return ()
        return [f"{name} " for name in _USES if name.startswith(text)]

    def _help(self, _: str) -> None:
        self._out.print(
            _rows((f"{name} {use}".rstrip(), what) for name, (use, what) in _USES.items())
        )
        self._out.print(
            Text(
                "Ctrl-C stops an answer. A line that ends in \\ goes on in the next; "
                "text that is pasted stays together.",
                style="dim",
            )
        )

    def _new(self, _: str) -> None:
        self._talk.forget()
        self._out.print(Text("A new chat.", style="dim"))

    def _model(self, name: str) -> None:
        models = self._talk.models()
        if not name:
            for model in models:
                self._out.print(Text(f"{'*' if model == self._talk.model else ' '} {line(model)}"))
        elif name in models:
            self._talk.model = name
            self._out.print(Text(f"{name} answers from now on.", style="dim"))
        else:
            raise CommandError(
                f"there is no model {name!r}; there are {', '.join(models)}", code=Exit.NOT_FOUND
            )

    def _tools(self, wanted: str) -> None:
        if wanted in ("on", "off"):
            self._printer.show_activity = wanted == "on"
            shown = "shown" if wanted == "on" else "hidden"
            self._out.print(Text(f"Tool activity is {shown} from now on.", style="dim"))
        elif wanted:
            raise CommandError("write /tools, /tools on or /tools off", code=Exit.USAGE)
        else:
            self._out.print(_rows((spec.name, spec.description) for spec in tool_specs()))

    def _save(self, name: str) -> None:
        if not name:
            raise CommandError("say where to: /save FILE", code=Exit.USAGE)
        if not self._talk.messages:
            raise CommandError("nothing was said yet that could be saved")
        file = Path(name).expanduser()
        try:
            # Never over another file, and for its owner alone: a chat tells much about a host.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8") as stream:
                stream.write(_transcript(self._talk))
        except FileExistsError:
            raise CommandError(f"{name} is there already; choose another name") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CommandError(f"the chat could not be written to {name}: {reason}") from error
        self._out.print(Text(f"Written to {file}.", style="dim"))

    def _quit(self, _: str) -> None:
        raise LeaveChat


def _looks_like_one(name: str) -> bool:
    return name.startswith("/") and "/" not in name[1:] and not Path(name).exists()


def _transcript(talk: Talk) -> str:
    """Markdown, without control characters: people show files with `cat`."""
    parts = [f"# Chat with {talk.model}\n"]
    for message in talk.messages:
        who = "You" if message["role"] == "user" else "Answer"
        parts.append(f"## {who}\n\n{clean(message['content']).strip()}\n")
    return "\n".join(parts)


def _rows(rows: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for name, what in rows:
        table.add_row(Text(name, style="bold"), Text(line(what)))
    return table
