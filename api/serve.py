"""Listens on the facade's port, inside the daemon's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from api.loopback import is_loopback
from api.protocol import BoundedProtocol
from api.relay.upstream import Upstreams

__all__ = ["Facade", "PortTakenError", "is_loopback", "listen"]

_GRACE_SECONDS = 5
_BACKLOG = 256
"""All that wait are accepted at once: with the connections that there may be they must fit into the
1,024 file descriptors that a process usually has, and leave some."""
_CANCEL_SECONDS = 5.0


class PortTakenError(Exception):
    """Somebody else listens there. The sentence names the port."""


def listen(*, host: str, port: int) -> socket.socket:
    """A bound socket. Raises `PortTakenError`, or OSError for an address that is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio switches Nagle's algorithm off, which would hold small chunks
    # of an answer back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
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
    """The running server. `serve` returns after `stop`, when every request has ended."""

    def __init__(self, *, app: FastAPI, listener: socket.socket) -> None:
        self._listener = listener
        self._stopping: asyncio.Event = app.state.stopping
        self._upstreams: Upstreams = app.state.upstreams
        self._server = _Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                backlog=_BACKLOG,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Who asks is told by keys; a header that anybody can write tells nothing.
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    async def serve(self) -> None:
        """Answers until stopped. Being cancelled stops it in the same order."""
        running = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            self.stop()
            await running
            raise
        finally:
            self._listener.close()
            # uvicorn cancels what outlives its grace but does not wait for it.
            if left := set(self._server.server_state.tasks):
                await asyncio.wait(left, timeout=_CANCEL_SECONDS)
            await self._upstreams.aclose()

    def stop(self) -> None:
        """Takes no more requests; live streams end now, answers have five seconds."""
        self._stopping.set()
        self._server.should_exit = True
