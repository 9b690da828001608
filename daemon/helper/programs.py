"""Runs programs of the host: argument vectors, a clean environment, a deadline, bounded output."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.helper.errors import FailedError, TimeError
from daemon.helper.trust import only_root_writes

_PATIENCE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_STRAGGLING = 0.3
"""Seconds for which output is read on after the program ended, while something holds the pipe."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a program printed on stdout and stderr, cut to the limit, and its exit status."""

    status: int
    text: str
    cut: bool = False

    @property
    def last(self) -> str:
        """The last words, for a sentence."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"no output, exit status {self.status}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Programs that are looked for in `folders` alone."""

    folders: tuple[Path, ...]

    def find(self, name: str) -> Path | None:
        """A program that only root can have written. One with a path is looked for there."""
        for path in [Path(name)] if name.startswith("/") else [f / name for f in self.folders]:
            try:
                facts = path.stat()
            except OSError:
                continue
            if stat.S_ISREG(facts.st_mode) and facts.st_mode & 0o111 and only_root_writes(facts):
                return path
        return None

    def run(
        self,
        argv: Sequence[str],
        *,
        seconds: float,
        limit: int = 65_536,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Output:
        """Raises `FailedError` where the program is missing, `TimeError` where it does not end;
        its whole process group is killed then, and whenever the call is given up."""
        path = self.find(argv[0])
        if path is None:
            raise FailedError(f"this host has no {argv[0]} that is root's alone")
        environment = {**self._environment(), **(environment or {})}
        try:
            process = subprocess.Popen(
                [str(path), *argv[1:]],
                executable=str(path),
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise FailedError(f"{argv[0]} cannot be started: {error.strerror}") from error
        over = False
        try:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(stdin)
            output = _follow(process, seconds, limit, argv[0])
            over = True
        finally:
            if not over:
                _kill(process)
            if process.stdout is not None:
                process.stdout.close()
        return output

    def must(
        self,
        argv: Sequence[str],
        *,
        seconds: float,
        limit: int = 65_536,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Output:
        """As `run`; raises `FailedError` for an exit status that is not 0 too."""
        output = self.run(argv, seconds=seconds, limit=limit, environment=environment, stdin=stdin)
        if output.status != 0:
            raise FailedError(f"{argv[0]} ended with status {output.status}: {output.last}")
        return output

    def _environment(self) -> dict[str, str]:
        folders = ":".join(str(folder) for folder in self.folders)
        return {"PATH": folders, "LC_ALL": "C.UTF-8", "HOME": "/root", "TZ": "UTC"}


def _follow(process: subprocess.Popen[bytes], seconds: float, limit: int, name: str) -> Output:
    assert process.stdout is not None  # noqa: S101 (we made the pipe)
    end = time.monotonic() + seconds
    text, cut = bytearray(), False
    ended_at: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if ended_at is None and process.poll() is not None:
                ended_at = now
            if ended_at is not None and now - ended_at > _STRAGGLING:
                break
            if ended_at is None and now > end:
                raise TimeError(f"{name} did not end within {seconds:g} s and was killed")
            if not selector.select(timeout=0.05 if ended_at is None else _STRAGGLING / 4):
                continue
            more = os.read(process.stdout.fileno(), 65_536)
            if not more:
                break
            room = limit - len(text)
            text += more[:room]
            cut = cut or len(more) > room
    try:
        status = process.wait(timeout=max(end - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise TimeError(f"{name} did not end within {seconds:g} s and was killed") from None
    return Output(status=status, text=text.decode("utf-8", errors="replace"), cut=cut)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The group, gently first: a package manager shall end what it is at."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_PATIENCE)
            if number == signal.SIGKILL:
                return
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_PATIENCE)
