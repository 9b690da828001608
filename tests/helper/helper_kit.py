"""The real helper, over a real socket pair, with a helper.toml of the test."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The answer, and what the helper wrote to its log."""

    answer: dict[str, Any]
    log: str

    @property
    def ok(self) -> bool:
        return bool(self.answer["ok"])

    @property
    def code(self) -> str:
        return str(self.answer["code"])

    @property
    def detail(self) -> str:
        return str(self.answer["detail"])

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.answer["data"])


class RealHelper:
    """Starts a helper for each call, as systemd does. `root` holds its configuration, its locks
    and a folder `bin` for programs of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "helper.toml"
        self.programs = root / "bin"
        self.programs.mkdir(mode=0o755)
        self.prefix: tuple[str, ...] = ()

    def allow(self, *verbs: str, **settings: object) -> None:
        """Writes helper.toml. The folder of the test's programs comes before the host's."""
        table: dict[str, object] = {
            "verbs": list(verbs),
            "programs": [str(self.programs), "/usr/sbin", "/usr/bin", "/sbin", "/bin"],
            "locks": str(self.root / "locks"),
            **settings,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        self.config.write_text("\n".join(lines) + "\n")
        self.config.chmod(0o644)

    def program(self, name: str, script: str) -> Path:
        """A program of the test, as root's."""
        path = self.programs / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def start(self, *, user: int | None = None) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """`user`: whose the connection is, by SO_PEERCRED."""
        ours, theirs = _pair(user)
        with theirs:
            process = subprocess.Popen(
                [
                    *self.prefix,
                    *(sys.executable, "-I", "-m", "daemon.helper", "--config", str(self.config)),
                ],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env={},
                start_new_session=True,
            )
        return process, ours

    def send(self, line: bytes, *, user: int | None = None, seconds: float = 30.0) -> Said:
        """Bytes as they are; the writing side is closed after them."""
        process, connection = self.start(user=user)
        with connection, process:
            connection.settimeout(seconds)
            try:
                connection.sendall(line)
                connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = b""
            while not answer.endswith(b"\n") and (more := connection.recv(65_536)):
                answer += more
            _, log = process.communicate(timeout=seconds)
        return Said(answer=json.loads(answer), log=log.decode())

    def call(self, verb: str, *, user: int | None = None, **arguments: object) -> Said:
        line = json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n"
        return self.send(line, user=user)


def _pair(user: int | None) -> tuple[socket.socket, socket.socket]:
    """A socket pair has the credentials of whoever made it."""
    if user is None:
        return socket.socketpair()
    os.seteuid(user)
    try:
        return socket.socketpair()
    finally:
        os.seteuid(0)


def start_of(pid: int) -> int:
    """Clock ticks since boot at which a process started."""
    raw = Path(f"/proc/{pid}/stat").read_text()
    return int(raw[raw.rindex(")") + 2 :].split()[19])
