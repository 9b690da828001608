"""The facade as the daemon runs it: its port, its keys, its address."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api.app import create_app
from api.keys.access import Access
from api.keys.key import Key, Limits
from api.keys.meter import Meter
from api.keys.parse import KeyFileError
from api.keys.ring import KeyRing
from api.ports import Ports
from api.roles import Role
from api.serve import Facade, PortTakenError, is_loopback, listen
from daemon.config.load import ENV_PREFIX
from daemon.config.settings import Settings
from daemon.errors import StartError
from daemon.local_key import local_key
from daemon.runtime import Failure, background, within
from daemon.store.pool import Database
from daemon.views.keys import KeptUsage
from tiers.runtime.ownership import holder_of, port_is_free

_LAST_PORT = 65_535


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
            f"{error}{by}; stop it, or choose other ports. Beside another triaged that is every "
            f"port at once, or the models stay away: {_on_other_ports(settings)} triaged run"
        ) from error
    except OSError as error:
        raise StartError(f"api.host {api.host}: cannot listen there: {error.strerror}") from error


def _on_other_ports(settings: Settings) -> str:
    """The environment that moves the facade and every llama-server of ours to free ports, all by
    the same distance."""
    ports = {"API": settings.api.port}
    hosts = {settings.api.host}
    for tier, its in settings.tiers.by_name().items():
        if its.own_server and its.port:
            ports[f"TIERS__{tier.name}"] = its.port
            hosts.add(its.host)
    further = next(
        (
            step
            for step in range(10, 1000, 10)
            if all(_may_be_had(host, port + step) for port in ports.values() for host in hosts)
        ),
        10,
    )
    return " ".join(f"{ENV_PREFIX}{name}__PORT={port + further}" for name, port in ports.items())


def _may_be_had(host: str, port: int) -> bool:
    try:
        return port <= _LAST_PORT and port_is_free(host, port)
    except OSError:
        return False


def keys_path(settings: Settings, state_dir: Path) -> Path:
    """Where the keys are kept."""
    return settings.api.keys_file or state_dir / "keys.toml"


def open_access(settings: Settings, state_dir: Path, *, own: Sequence[Key] = ()) -> Access:
    """Who may ask. `own` keys are the daemon's. Raises `StartError` for keys that cannot be used,
    and where others reach the facade and there are none."""
    api = settings.api
    path = keys_path(settings, state_dir)
    named = api.keys_file is not None
    try:
        ring = KeyRing(path=path, named=named, now=_now, own=own)
    except KeyFileError as error:
        raise StartError(f"keys cannot be used: {error}") from error
    if named and not ring.needed:
        raise StartError(
            f"api.keys_file {path} does not exist; make it with `triaged keys add NAME`, or leave "
            "the setting out"
        )
    if not ring.needed and not is_loopback(api.host):
        raise StartError(
            f"api.host {api.host} can be reached from other machines and there are no keys: run "
            '`triaged keys add NAME`, or set api.host to "127.0.0.1"'
        )
    return Access(
        ring=ring,
        keyless=_keyless(settings) if is_loopback(api.host) else None,
        meter=Meter(now=_now),
        clock=time.monotonic,
        now=_now,
    )


@contextlib.contextmanager
def access_held(settings: Settings, state_dir: Path) -> Iterator[Access]:
    """`open_access`, with a key for commands of this host as long as the block runs."""
    api = settings.api
    with contextlib.ExitStack() as stack:
        try:
            key = stack.enter_context(local_key(state_dir, host=api.host, port=api.port))
        except OSError as error:
            raise StartError(
                f"{state_dir}/local.key cannot be written: {error.strerror}; run as the user that "
                "the state folder belongs to"
            ) from error
        yield open_access(settings, state_dir, own=(key,))


def _keyless(settings: Settings) -> Key:
    its = settings.api.keyless
    return Key(
        name="",
        role=Role(its.role),
        digest=b"",
        limits=Limits(
            requests_per_minute=its.requests_per_minute,
            tokens_per_day=its.tokens_per_day,
            concurrent=its.concurrent,
        ),
        forwards_users=its.forwards_users,
    )


def _now() -> datetime:
    return datetime.now(tz=UTC)


def make_app(settings: Settings, ports: Ports, access: Access) -> FastAPI:
    """The application."""
    return create_app(
        ports=ports,
        version=importlib.metadata.version("triaged"),
        access=access,
        body_limit=settings.api.body_limit,
        origins=settings.api.cors_origins,
    )


def facade_url(settings: Settings) -> str:
    """Where it answers."""
    host = settings.api.host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.api.port}"


@contextlib.asynccontextmanager
async def usage_kept(
    access: Access, database: Database, *, failure: Failure
) -> AsyncIterator[None]:
    """What keys use is brought from the store, and to it, as long as the block runs. Raises
    `StoreUnavailableError`."""
    used = KeptUsage(database=database, meter=access.meter)
    await used.load()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(within, "usage of keys", used.flush, deadline=5)
        await stack.enter_async_context(background("usage of keys", used.run(), failure=failure))
        yield


@contextlib.asynccontextmanager
async def answering(
    settings: Settings, *, ports: Ports, access: Access, listener: socket.socket, failure: Failure
) -> AsyncIterator[None]:
    """Requests are answered, and changes of keys followed, as long as the block runs."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(
            background("keys", access.ring.follow(access.renew), failure=failure)
        )
        facade = Facade(app=make_app(settings, ports, access), listener=listener)
        serving = await stack.enter_async_context(
            background("facade", facade.serve(), failure=failure)
        )
        stack.push_async_callback(stop_facade, facade, serving)
        yield


async def stop_facade(facade: Facade, serving: asyncio.Task[Any]) -> None:
    """Lets open answers end for a few seconds."""
    facade.stop()
    await asyncio.wait({serving}, timeout=8)
