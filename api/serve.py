"""Listens on the facade's port, inside the daemon's own event loop."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI


class PortTakenError(Exception):
    """Somebody else listens there. The sentence names the port."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(*, host: str, port: int) -> socket.socket:
    """A bound socket. Raises `PortTakenError`, or OSError for an address that is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == 98:  # EADDRINUSE
            raise PortTakenError(f"port {port} on {host} is in use") from error
        raise
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Signals are the daemon's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Facade:
    """The running server. `serve` returns after `stop`."""

    def __init__(self, *, app: FastAPI, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
                limit_concurrency=2_000,
                h11_max_incomplete_event_size=64 * 1024,
            )
        )

    async def serve(self) -> None:
        """Answers until stopped."""
        await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Takes no more requests; open streams have five seconds."""
        self._server.should_exit = True
