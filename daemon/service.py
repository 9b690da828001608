"""What the daemon tells its service manager: sd_notify(3), in plain datagrams.

Without `$NOTIFY_SOCKET` (a terminal, a container) everything here does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, MutableMapping

import structlog

log = structlog.get_logger()

_BEATS = 3
"""Signs of life in the time after which systemd takes the daemon for stuck."""
_STATUS_SECONDS = 10.0
_LONGEST_STATUS = 500


class ServiceManager:
    """Who started the daemon as its service. `watchdog` is in seconds, None where nobody waits for
    signs of life."""

    def __init__(
        self,
        *,
        address: str | None,
        watchdog: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._watchdog = watchdog if address is not None else None
        self._monotonic = monotonic
        self._said = ""
        self._deaf = False

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str], *, pid: int) -> ServiceManager:
        """Takes the variables out of `environ`: what the daemon starts must not speak for it."""
        address = environ.pop("NOTIFY_SOCKET", None)
        micros = environ.pop("WATCHDOG_USEC", "")
        meant_for = environ.pop("WATCHDOG_PID", str(pid))
        watched = micros.isascii() and micros.isdigit() and meant_for == str(pid)
        return cls(
            address=address or None,
            watchdog=int(micros) / 1_000_000 if watched and int(micros) else None,
        )

    def ready(self, status: str) -> None:
        """Everything answers; also ends a reload."""
        self._send("READY=1", status=status)

    def status(self, words: str) -> None:
        """One sentence for `systemctl status`; nothing is sent while it stays the same."""
        if words != self._said:
            self._send(status=words)

    def reloading(self, status: str) -> None:
        """The configuration is read again; `ready` has to follow."""
        micros = int(self._monotonic() * 1_000_000)
        self._send("RELOADING=1", f"MONOTONIC_USEC={micros}", status=status)

    def stopping(self, status: str) -> None:
        self._send("STOPPING=1", status=status)

    @contextlib.asynccontextmanager
    async def alive(self, describe: Callable[[], str] | None = None) -> AsyncIterator[None]:
        """Gives signs of life while the block runs, from the event loop: one that is stuck gives
        none. `describe` is what the status shall say from now on."""
        if self._address is None:
            yield
            return
        task = asyncio.create_task(self._beat(describe), name="service manager")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _beat(self, describe: Callable[[], str] | None) -> None:
        pause = _STATUS_SECONDS
        if self._watchdog is not None:
            pause = min(pause, self._watchdog / _BEATS)
        while True:
            if self._watchdog is not None:
                self._send("WATCHDOG=1")
            if describe is not None:
                self.status(describe())
            await asyncio.sleep(pause)

    def _send(self, *lines: str, status: str | None = None) -> None:
        if self._address is None:
            return
        if status is not None:
            self._said = status
            shown = " ".join(status.split())[:_LONGEST_STATUS]
            lines = (*lines, f"STATUS={shown}")
        # "@" stands for the abstract namespace, whose names begin with a zero byte: unix(7).
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), name)
        except OSError as error:  # a manager that does not listen must not stop the daemon
            if not self._deaf:
                log.warning("the service manager does not listen", why=str(error))
            self._deaf = True
        else:
            self._deaf = False
