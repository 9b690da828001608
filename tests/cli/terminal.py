"""A command at a terminal of its own (a pty), as a person has it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TRIAGED = Path(sys.executable).with_name("triaged")
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """What was shown since the last `wait`, and a keyboard."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.raw = b""

    def type(self, text: str | bytes) -> None:
        os.write(self._descriptor, text.encode() if isinstance(text, str) else text)

    @property
    def shown(self) -> str:
        """Everything so far, without colours and cursor moves."""
        return _STYLES.sub("", self.raw.decode("utf-8", "replace")).replace("\r", "")

    def wait(self, text: str, *, seconds: float = 15, times: int = 1) -> str:
        """Until `text` was shown so many times; returns all that was shown."""
        until = time.monotonic() + seconds
        while self.shown.count(text) < times:
            assert time.monotonic() < until, f"{text!r} was not shown:\n{self.shown}"
            self._read(0.1)
        return self.shown

    def enter(self, text: str, *, seconds: float = 15) -> None:
        """Types a line, or a key, once there is a prompt and nothing behind it."""
        self.prompt(seconds=seconds)
        self.type(text)

    def prompt(self, *, seconds: float = 15) -> str:
        """Until a prompt is the last that was shown; returns all that was shown."""
        until = time.monotonic() + seconds
        while not self.shown.endswith("\n> "):
            assert time.monotonic() < until, f"there is no prompt:\n{self.shown}"
            self._read(0.1)
        return self.shown

    def ended(self, *, seconds: float = 15) -> int:
        until = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < until, f"it did not end:\n{self.shown}"
            self._read(0.1)
        self._read(0)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if ready:
            with contextlib.suppress(OSError):  # EIO: the other side is closed
                self.raw += os.read(self._descriptor, 65_536)


@contextlib.contextmanager
def at_terminal(arguments: Sequence[str], *, environ: Mapping[str, str]) -> Iterator[Terminal]:
    """`triaged` with these arguments; ended whatever happens."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, str(TRIAGED), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", **environ},
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        os.close(ours)
