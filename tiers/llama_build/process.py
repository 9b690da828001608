"""Runs one program of a build: in a group of its own, gently, its words in a log.

However this ends (an error, Ctrl-C, a signal that became an exception), the whole group is ended
before it returns: no compiler goes on behind anybody's back.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tiers.llama_build.errors import StepError

_NICE = 10
_TERM_SECONDS = 5.0
_POLL_SECONDS = 0.5
_BLOCK = 65_536
_MOST_LOG = 64 * 2**20
_LINE_CHARS = 2_000
_TAIL_LINES = 30
_ENDS = re.compile(rb"[\r\n]+")

OnLine = Callable[[str], None]


def run_step(
    command: Sequence[str],
    *,
    what: str,
    folder: Path,
    log: Path,
    environ: Mapping[str, str],
    silence: float,
    on_line: OnLine,
) -> None:
    """Runs `command` in `folder` and appends what it prints to `log`. `silence` is how many seconds
    it may print nothing. Raises `StepError` when it fails, hangs or cannot be run."""
    with log.open("ab", buffering=0) as written:
        written.write(f"\n$ {' '.join(command)}\n".encode())
        try:
            process = subprocess.Popen(
                _gently(command, environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError as error:
            raise StepError(f"{what}: {command[0]} cannot be run ({error.strerror}).") from error
        lines = _Lines(written, on_line)
        try:
            with process:
                try:
                    hung = not _read(process, lines, silence)
                finally:
                    _end_group(process)
        finally:
            lines.close()
    if hung:
        raise StepError(
            f"{what}: {Path(command[0]).name} said nothing for {silence:.0f} s and was ended; "
            f"see {log}.",
            said=lines.tail,
        )
    if process.returncode != 0:
        raise StepError(
            f"{what}: {Path(command[0]).name} {_how(process.returncode)}; see {log}.",
            said=lines.tail,
        )


def _gently(command: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """`command` as `nice` runs it, so that it is gentle from its first step on, with all that it
    starts. As it is where there is no `nice`, or where the program is none, which Popen tells."""
    path = environ.get("PATH")
    nice = shutil.which("nice", path=path)
    if nice is None or shutil.which(command[0], path=path) is None:
        return list(command)
    return [nice, "-n", str(_NICE), *command]


class _Lines:
    """Cuts output into lines, keeps the last ones, and bounds what the log takes."""

    def __init__(self, log: BinaryIO, on_line: OnLine) -> None:
        self._log = log
        self._on_line = on_line
        self._rest = b""
        self._written = 0
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)

    def feed(self, block: bytes) -> None:
        if self._written < _MOST_LOG:
            self._log.write(block)
            self._written += len(block)
        *whole, self._rest = _ENDS.split(self._rest + block)
        for line in whole:
            self._take(line)
        if len(self._rest) > _BLOCK:
            self._take(self._rest)
            self._rest = b""

    def close(self) -> None:
        if self._rest:
            self._take(self._rest)
            self._rest = b""

    def _take(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip()[:_LINE_CHARS]
        if line:
            self._tail.append(line)
            self._on_line(line)


def _read(process: subprocess.Popen[bytes], lines: _Lines, silence: float) -> bool:
    """Until the program has ended; False when it was silent for too long.

    The pipe may stay open longer than the program: something in the background may hold it."""
    if process.stdout is None:
        raise AssertionError("stdout was asked for")
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    heard = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            if selector.select(0 if ended else _POLL_SECONDS):
                block = os.read(pipe, _BLOCK)
                if block:
                    lines.feed(block)
                    heard = time.monotonic()
                    continue
                if not ended:  # it closed its output and goes on
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_SECONDS)
            if ended:
                return True
            if time.monotonic() - heard > silence:
                return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends whatever is left of the group. Compilers write whole files: TERM is enough for them."""
    for what in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, what)
        except ProcessLookupError:
            break
        until = time.monotonic() + _TERM_SECONDS
        while time.monotonic() < until:
            process.poll()  # reaps the leader
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def _how(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (out of memory? --jobs 1 takes less)"
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
