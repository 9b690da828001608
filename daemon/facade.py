"""The facade as the daemon runs it: its port, its keys, its address."""

from __future__ import annotations

import asyncio
import importlib.metadata
import socket
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api.app import create_app
from api.ports import Ports
from api.serve import Facade, PortTakenError, is_loopback, listen
from daemon.config.settings import Settings
from daemon.errors import StartError
from tiers.runtime.ownership import holder_of


def listen_for(settings: Settings, state_dir: Path) -> socket.socket:
    """The bound socket. Raises `StartError`, which names who has the port."""
    api = settings.api
    try:
        return listen(host=api.host, port=api.port)
    except PortTakenError as error:
        holder = holder_of(api.port, state_dir=state_dir)
        by = ""
        if holder is not None:
            by = f" by {holder.name}" + (f" (pid {holder.pid})" if holder.pid else "")
        raise StartError(
            f"{error}{by}; stop it, or choose another with api.port "
            "(TRIAGED__API__PORT=8093 triaged run)"
        ) from error
    except OSError as error:
        raise StartError(f"api.host {api.host}: cannot listen there: {error.strerror}") from error


def make_app(settings: Settings, ports: Ports) -> FastAPI:
    """The application. Raises `StartError` for keys that cannot be read."""
    api = settings.api
    keys: list[str] = []
    if api.keys_file is not None:
        try:
            text = api.keys_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"api.keys_file {api.keys_file}: cannot be read: {error}") from error
        keys = [line.strip() for line in text.splitlines() if line.strip()]
        if not keys:
            raise StartError(f"api.keys_file {api.keys_file} holds no key; write one a line")
    return create_app(
        ports=ports,
        version=importlib.metadata.version("triaged"),
        keys=keys,
        loopback=is_loopback(api.host),
        body_limit=api.body_limit,
    )


def facade_url(settings: Settings) -> str:
    """Where it answers."""
    host = settings.api.host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.api.port}"


async def stop_facade(facade: Facade, serving: asyncio.Task[Any]) -> None:
    """Lets open answers end for a few seconds."""
    facade.stop()
    await asyncio.wait({serving}, timeout=8)
