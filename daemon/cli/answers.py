"""How an answer looks on a terminal while it comes, and as JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from rich.console import Console
from rich.text import Text

from daemon.cli.exits import CommandError
from daemon.cli.interrupts import Interrupts
from daemon.cli.render import clean
from daemon.cli.talk import Activity, Answer, Part, Words

_WHY_SHORT = {
    "length": "(cut: the answer reached the limit of its length)",
    "content_filter": "(cut: the model's server refused to say more)",
}


class AnswerPrinter:
    """Prints the words of an answer to `out` as they come and, dim, to `err` what was done for it.

    Words of models and results of tools cannot drive the terminal: they lose control characters.
    """

    def __init__(self, *, out: Console, err: Console, show_activity: bool = True) -> None:
        self._out = out
        self._err = err
        self.show_activity = show_activity
        self._open: Console | None = None  # the one that stands in the middle of a line

    def show(self, parts: Generator[Part, None, None]) -> Answer:
        """Prints until the end. Closes `parts` whatever happens, which stops the model.

        Raises `CommandError` where the answer fails or holds no word, KeyboardInterrupt at Ctrl-C.
        """
        answer: Answer | None = None
        begun = False
        waiting = self._err.status(Text("waiting for the model", style="dim"), spinner="dots")
        if self._err.is_terminal:
            waiting.start()
        try:
            with Interrupts() as interrupts, contextlib.closing(parts):
                while (part := interrupts.waiting(lambda: next(parts, None))) is not None:
                    match part:
                        case Activity(text=text) if self.show_activity:
                            waiting.stop()
                            self._print(self._err, text, style="dim")
                        case Words(text=text):
                            text = text if begun else text.lstrip()
                            if text:
                                begun = True
                                waiting.stop()
                                self._print(self._out, text)
                        case Answer():
                            answer = part
                        case _:
                            pass
        finally:
            waiting.stop()
            self._end_line()
        if answer is None or not answer.text.strip():
            raise CommandError("the model said nothing; ask again, or in other words")
        if (why := _WHY_SHORT.get(answer.reason)) is not None:
            self._err.print(Text(why, style="dim"))
        return answer

    def _print(self, console: Console, text: str, *, style: str = "") -> None:
        if self._open is not console:
            self._end_line()
        console.print(Text(clean(text), style=style), end="")
        self._open = None if text.endswith("\n") else console

    def _end_line(self) -> None:
        if self._open is not None:
            self._open.print()
            self._open = None


def whole(parts: Generator[Part, None, None]) -> Answer:
    """The answer without printing anything. Raises `CommandError` like `AnswerPrinter.show`."""
    with contextlib.closing(parts):
        for part in parts:
            if isinstance(part, Answer) and part.text.strip():
                return part
    raise CommandError("the model said nothing; ask again, or in other words")


def as_json(answer: Answer) -> dict[str, Any]:
    """What scripts get."""
    return {
        "answer": answer.text,
        "activity": answer.activity,
        "model": answer.model,
        "finish_reason": answer.reason,
        "usage": dict(answer.usage),
    }
