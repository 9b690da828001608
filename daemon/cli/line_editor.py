"""Lines from a person at a terminal: editing, completion, pasted text, a history of their own."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

try:
    import readline
except ImportError:  # a Python built without it still reads lines
    _EDITING = False
else:
    _EDITING = True

_MOST = 1_000
_LONGEST = 100_000


def history_file(environ: Mapping[str, str]) -> Path:
    """Where the history of whoever types is kept. It is theirs, not the daemon's: many may use
    one daemon."""
    state = environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(state) / "triaged" / "chat_history"


class LineEditor:
    """Reads what is typed, by readline where Python has it.

    A text that is pasted stays one entry, whatever lines it has; a line that ends in a backslash
    goes on in the next. `complete` gets the beginning of a line and returns what it may become.
    """

    def __init__(
        self, *, history: Path, complete: Callable[[str], Sequence[str]] = lambda _: ()
    ) -> None:
        self._history = history
        self._complete = complete
        self._offered: Sequence[str] = ()
        if not _EDITING:
            return
        readline.set_auto_history(False)  # entries of several lines are added as one
        readline.set_completer_delims("")
        readline.set_completer(self._completion)
        if "libedit" in str(readline.__doc__):
            readline.parse_and_bind("bind ^I rl_complete")
        else:
            readline.parse_and_bind("tab: complete")
            readline.parse_and_bind("set enable-bracketed-paste on")
        for entry in _read(history):
            readline.add_history(entry)

    def ask(self, prompt: str) -> str:
        """What was typed, without the last newline. Raises EOFError at Ctrl-D, KeyboardInterrupt
        at Ctrl-C, UnicodeDecodeError for bytes that are no text."""
        lines = [input(prompt)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(input("." * (len(prompt) - 1) + " "))
        text = "\n".join(lines)
        if text.strip():
            self._remember(text)
        return text

    def _remember(self, text: str) -> None:
        if not _EDITING or len(text) > _LONGEST:
            return
        readline.add_history(text)
        # A history that cannot be kept (a read-only home, a full disk) is no reason to end a chat.
        with contextlib.suppress(OSError):
            _append(self._history, text)

    def _completion(self, text: str, state: int) -> str | None:
        if state == 0:
            self._offered = self._complete(text)
        return self._offered[state] if state < len(self._offered) else None


def _read(file: Path) -> list[str]:
    """The last entries, oldest first; what is broken is left out. A file that has grown is cut."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
            lines = stream.readlines()
    except OSError:
        return []
    entries = []
    for line in lines[-_MOST:]:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, str):
                entries.append(entry)
    if len(lines) > 2 * _MOST:
        with contextlib.suppress(OSError):
            _replace(file, entries)
    return entries


def _append(file: Path, entry: str) -> None:
    """One JSON string a line, for the owner's eyes only."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(file, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(json.dumps(entry) + "\n")


def _replace(file: Path, entries: Sequence[str]) -> None:
    new = file.with_name(f"{file.name}.{os.getpid()}")
    for entry in entries:
        _append(new, entry)
    new.replace(file)
