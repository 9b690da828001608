"""What is said to the service manager, as its socket hears it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.service import ServiceManager


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


def _heard(bound: socket.socket) -> list[list[str]]:
    messages = []
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(bound.recv(4096).decode().split("\n"))
    return messages


def _manager(bound: socket.socket, **more: str) -> tuple[ServiceManager, dict[str, str]]:
    environ = {"NOTIFY_SOCKET": bound.getsockname(), "HOME": "/", **more}
    return ServiceManager.from_environ(environ, pid=42), environ


def test_states_and_status(manager_socket: socket.socket) -> None:
    manager, environ = _manager(manager_socket)
    assert environ == {"HOME": "/"}  # what we start cannot speak for us
    manager.status("store")
    manager.status("store")
    manager.ready("watching")
    manager.reloading("reading\nagain")
    manager.stopping("bye")
    store, ready, reloading, stopping = _heard(manager_socket)
    assert store == ["STATUS=store"]
    assert ready == ["READY=1", "STATUS=watching"]
    assert reloading[0] == "RELOADING=1"
    assert reloading[1].startswith("MONOTONIC_USEC=")
    assert reloading[2] == "STATUS=reading again"
    assert stopping == ["STOPPING=1", "STATUS=bye"]


async def test_signs_of_life_come_while_the_loop_runs(manager_socket: socket.socket) -> None:
    manager, _ = _manager(manager_socket, WATCHDOG_USEC="150000", WATCHDOG_PID="42")
    async with manager.alive(lambda: "so it is"):
        await asyncio.sleep(0.3)
    heard = _heard(manager_socket)
    assert heard.count(["WATCHDOG=1"]) >= 3
    assert heard.count(["STATUS=so it is"]) == 1
    await asyncio.sleep(0.1)
    assert _heard(manager_socket) == []


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "150000", "WATCHDOG_PID": "41"},
        {"WATCHDOG_USEC": "soon", "WATCHDOG_PID": "42"},
        {"WATCHDOG_USEC": "0"},
    ],
)
async def test_no_signs_of_life_where_nobody_waits(
    manager_socket: socket.socket, variables: dict[str, str]
) -> None:
    manager, _ = _manager(manager_socket, **variables)
    async with manager.alive():
        await asyncio.sleep(0.1)
    assert _heard(manager_socket) == []


async def test_without_a_manager_nothing_happens() -> None:
    manager = ServiceManager.from_environ({"WATCHDOG_USEC": "1000"}, pid=1)
    async with manager.alive(lambda: pytest.fail("nobody asked")):
        manager.ready("on a terminal")


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    manager = ServiceManager(address=str(tmp_path / "gone"))
    manager.ready("still")
    abstract = ServiceManager(address="@triaged-no-such-socket")
    abstract.stopping("as well")
